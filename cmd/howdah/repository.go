package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/tenants"
)

var errNoStore = errors.New("there is no store: give [backup] store")

// repositoryOf returns what the store holds of a cluster, by the configuration alone: a
// cluster that is no more can be restored too.
func (c *Config) repositoryOf(cluster string, open func() (store.Store, error)) (*repository.Repository, error) {
	if err := repository.CheckCluster(cluster); err != nil {
		return nil, err
	}
	s, err := open()
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, errNoStore
	}
	return &repository.Repository{Store: s, Sealer: c.Sealer, Cluster: cluster}, nil
}

// clusterFlag is --cluster with --config, of commands that need no daemon.
type clusterFlag struct {
	path, cluster string
	writes        bool // to the store
}

func (f *clusterFlag) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.path, "config", "c", defaultConfigPath, "configuration `file`")
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "a cluster's `name`; the only one of the file need not be said")
}

// open reads the configuration, and returns the repository that is meant.
func (f *clusterFlag) open(cmd *cobra.Command) (*Config, *repository.Repository, error) {
	config, err := LoadConfig(f.path)
	if err != nil {
		return nil, nil, err
	}
	if f.cluster == "" {
		if len(config.Clusters) != 1 {
			return nil, nil, usageError{fmt.Errorf("%s: say --cluster which: there are %d in the file", cmd.CommandPath(), len(config.Clusters))}
		}
		f.cluster = config.Clusters[0].Name
	}
	open := config.storeToRead
	if f.writes {
		open = config.openStore
	}
	r, err := config.repositoryOf(f.cluster, open)
	return config, r, err
}

// theCluster returns the cluster of the file that is meant, which must be one that can be
// backed up.
func (f *clusterFlag) theCluster(config *Config) (*tenants.Cluster, error) {
	for i := range config.Clusters {
		c := &config.Clusters[i]
		if c.Name == f.cluster && c.ReplicationURL == "" {
			return nil, fmt.Errorf("cluster %q has no replication_url: give it that of a role with REPLICATION", c.Name)
		}
		if c.Name == f.cluster {
			return c, nil
		}
	}
	return nil, fmt.Errorf("cluster %q: %w in %s", f.cluster, errNotFound, f.path)
}

// position prints where on which timeline something is.
func position(p replication.Position) string {
	return fmt.Sprintf("%s (timeline %d)", p.LSN, p.Timeline)
}

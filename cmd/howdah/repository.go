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
func (c *Config) repositoryOf(cluster string, open func(*Store) (store.Store, error)) (*repository.Repository, error) {
	if err := repository.CheckCluster(cluster); err != nil {
		return nil, err
	}
	s, err := c.storeOf(cluster)
	switch {
	case err != nil:
		return nil, err
	case s == nil && c.mainStore() == nil:
		return nil, errNoStore
	case s == nil:
		return nil, fmt.Errorf("cluster %q is neither in %s nor in any store: say --store where it is, or is to be", cluster, c.Path)
	}
	return s.repository(cluster, open)
}

// repository returns what a store holds of a cluster.
func (s *Store) repository(cluster string, open func(*Store) (store.Store, error)) (*repository.Repository, error) {
	in, err := open(s)
	if err != nil {
		return nil, err
	}
	return &repository.Repository{Store: in, Sealer: s.sealer, Cluster: cluster}, nil
}

// clusterFlag is --cluster with --config, of commands that need no daemon.
type clusterFlag struct {
	path, cluster, store string
	writes               bool // to the store
}

func (f *clusterFlag) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.path, "config", "c", defaultConfigPath, "configuration `file`")
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "a cluster's `name`; the only one of the file need not be said")
	cmd.Flags().StringVar(&f.store, "store", "", "the `name` of the [[store]] that is meant, or default for that of [backup], if not the cluster's")
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
	open := (*Store).openToRead
	if f.writes {
		open = (*Store).open
	}
	if f.store == "" {
		r, err := config.repositoryOf(f.cluster, open)
		return config, r, err
	}
	s, err := config.storeOfFlag(f.store)
	if err == nil {
		err = repository.CheckCluster(f.cluster)
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := s.repository(f.cluster, open)
	return config, r, err
}

// storeOfFlag returns the store that --store says.
func (c *Config) storeOfFlag(name string) (*Store, error) {
	s := c.storeNamed(name)
	switch {
	case s == nil && c.mainStore() == nil:
		return nil, errNoStore
	case s == nil:
		return nil, fmt.Errorf("store %q: %w in %s", name, errNotFound, c.Path)
	}
	return s, nil
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

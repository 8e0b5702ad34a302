package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/schedule"
	"howdah/provision/dump"
)

func backupNow() *cobra.Command {
	var p printer
	f := clusterFlag{writes: true}
	var rate int
	var incremental, primary bool
	cmd := &cobra.Command{
		Use: "now", Short: "Take a base backup of a cluster", Args: noArgs,
		Long: "Take a base backup of a cluster of the configuration file, straight into the store. A running Howdah must be storing\n" +
			"the cluster's WAL: without that a base backup is none, and it is waited for. It is taken at the cluster's base_url,\n" +
			"a standby, if it has one.\n\n" +
			"With --incremental only what has changed since the newest one is taken: PostgreSQL 17 or newer, with summarize_wal on.\n" +
			"identity_file must be given, since PostgreSQL's manifest of that one is read. A restore needs both, all that it is since,\n" +
			"and pg_combinebackup.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, r, err := f.open(cmd)
			if err != nil {
				return err
			}
			c, err := f.theCluster(config)
			if err != nil {
				return err
			}
			if rate != 0 && (rate < 32 || rate > 1<<20) {
				return usageError{fmt.Errorf("--max-rate %d is not between 32 and 1048576 kB a second", rate)}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			shown := p.meter(cmd)
			o := base.Options{MaxRate: rate, Progress: func(p base.Progress) { shown.tell("", p.Done, p.Total) }}
			if incremental {
				newest, err := newestBase(ctx, r)
				if err != nil {
					return err
				}
				text, err := base.ServerManifest(ctx, r, newest)
				if err != nil {
					return err
				}
				defer text.Close()
				o.Since = &base.Since{Manifest: newest, BackupManifest: text}
			}
			from := schedule.Source{URL: c.ReplicationURL, BaseURL: c.BaseURL, AdminURL: c.AdminURL}
			if primary {
				from.BaseURL = ""
			}
			m, err := schedule.Take(ctx, r, from, o, nil)
			if err != nil && from.BaseURL != "" && ctx.Err() == nil {
				err = fmt.Errorf("%w (that was at base_url; --at-primary takes it at replication_url)", err)
			}
			shown.end()
			if err != nil {
				return err
			}
			if m.ConfigurationMissing != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "not all of the configuration that is outside of the data directory was taken along: %s\n", m.ConfigurationMissing)
			}
			return p.baseBackups(cmd, []base.Manifest{*m}, nil)
		},
	}
	cmd.Flags().IntVar(&rate, "max-rate", 0, "read no faster than so many `kB` a second")
	cmd.Flags().BoolVar(&incremental, "incremental", false, "take only what has changed since the newest base backup")
	cmd.Flags().BoolVar(&primary, "at-primary", false, "take it at replication_url, where there is a base_url too")
	f.flags(cmd)
	return p.flags(cmd)
}

// newestBase returns the base backup since which an incremental one is.
func newestBase(ctx context.Context, r *repository.Repository) (*base.Manifest, error) {
	all, err := base.List(ctx, r)
	if len(all) == 0 {
		return nil, errors.Join(fmt.Errorf("there is no base backup of cluster %q, since which an incremental one could be: leave out --incremental", r.Cluster), err)
	}
	return &all[0], nil
}

func backupList() *cobra.Command {
	var p printer
	var f clusterFlag
	cmd := &cobra.Command{
		Use: "list", Short: "List base backups of a cluster, the newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, r, err := f.open(cmd)
			if err != nil {
				return err
			}
			all, err := base.List(cmd.Context(), r)
			holds, holdsErr := base.Holds(cmd.Context(), r)
			return errors.Join(p.baseBackups(cmd, all, holds), err, holdsErr)
		},
	}
	f.flags(cmd)
	return p.flags(cmd)
}

// baseRow is a base backup, and what holds it.
type baseRow struct {
	base.Manifest
	Hold *base.Hold `json:"hold,omitempty"`
}

// baseBackups prints a list of base backups.
func (p *printer) baseBackups(cmd *cobra.Command, all []base.Manifest, holds map[string]*base.Hold) error {
	if p.json {
		list := []baseRow{}
		for _, m := range all {
			m.Objects = nil
			list = append(list, baseRow{m, holds[m.ID]})
		}
		return object(cmd.OutOrStdout(), list)
	}
	var rows [][]string
	for i := range all {
		m := &all[i]
		held := "-"
		if h := holds[m.ID]; h != nil {
			held = h.Since.Format(time.RFC3339)
		}
		rows = append(rows, []string{
			m.ID, cmp.Or(m.Since, "-"), m.Started.Format(time.RFC3339), m.Finished.Sub(m.Started).Round(time.Second).String(), position(replication.Position(m.Stop)),
			strconv.Itoa(len(m.DatabasesAtEnd)), dump.Size(m.Size), dump.Size(m.Stored), held,
		})
	}
	return table(cmd.OutOrStdout(), "BACKUP SINCE STARTED TOOK STOP DATABASES SIZE STORED HELD", rows)
}

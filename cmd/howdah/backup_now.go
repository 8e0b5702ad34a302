package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/wal"
	"howdah/provision/dump"
)

func backupNow() *cobra.Command {
	var p printer
	f := clusterFlag{writes: true}
	var rate int
	cmd := &cobra.Command{
		Use: "now", Short: "Take a base backup of a cluster", Args: noArgs,
		Long: "Take a base backup of a cluster of the configuration file, straight into the store. A running Howdah must be storing\n" +
			"the cluster's WAL: without that a base backup is none, and it is waited for.",
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
			m, err := takeBase(ctx, r, c.ReplicationURL, base.Options{MaxRate: rate})
			if err != nil {
				return err
			}
			return p.baseBackups(cmd, []base.Manifest{*m}, nil)
		},
	}
	cmd.Flags().IntVar(&rate, "max-rate", 0, "read no faster than so many `kB` a second")
	f.flags(cmd)
	return p.flags(cmd)
}

// storedWithin is for how long no more WAL may be stored, while that of a base backup is
// waited for.
const storedWithin = 5 * time.Minute

// storedFirst is the first pause between two looks at it: the server has just switched to
// another segment, and the last one is on its way.
const storedFirst = 50 * time.Millisecond

// takeBase takes a base backup, and has it be one when its WAL is stored.
func takeBase(ctx context.Context, r *repository.Repository, url string, o base.Options) (*base.Manifest, error) {
	conn, err := replication.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := r.Claim(ctx, conn.Server()); err != nil {
		return nil, err
	}
	m, err := base.Take(ctx, r, conn, func(ctx context.Context) (map[uint32]string, error) { return databasesOf(ctx, url) }, o)
	if err != nil {
		return nil, err
	}
	if err := waitStored(ctx, r, m); err != nil {
		return nil, errors.Join(fmt.Errorf("base backup %s is none: %w", m.ID, err), base.Delete(context.WithoutCancel(ctx), r, m.ID))
	}
	return m, base.Commit(ctx, r, m)
}

// waitStored waits until all WAL that a base backup needs is stored.
func waitStored(ctx context.Context, r *repository.Repository, m *base.Manifest) error {
	var newest replication.Position
	pause := storedFirst
	for last := time.Now(); ; pause = min(2*pause, time.Second) {
		contents, err := wal.List(ctx, r)
		if err == nil {
			if now := contents.Newest(); now != newest {
				newest, last = now, time.Now()
			}
			if _, err = contents.Reaches(replication.Position(m.Start), m.Stop.LSN, m.Stop.Timeline); err == nil {
				return nil
			}
		}
		if time.Since(last) > storedWithin {
			return fmt.Errorf("its WAL, from %s to %s, is not stored: is a Howdah running that receives it? %w", m.Start.LSN, m.Stop.LSN, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// databasesOf returns the names of a server's databases, by OID. A role that may replicate
// may log in to no database but one that everybody may: those are read from there.
func databasesOf(ctx context.Context, url string) (map[uint32]string, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("replication_url is no PostgreSQL URL")
	}
	if config.Database == "" {
		config.Database = "postgres"
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("read the names of databases: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, "select oid, datname::text from pg_catalog.pg_database")
	if err != nil {
		return nil, fmt.Errorf("read the names of databases: %w", err)
	}
	all := map[uint32]string{}
	var oid uint32
	var name string
	_, err = pgx.ForEachRow(rows, []any{&oid, &name}, func() error {
		all[oid] = name
		return nil
	})
	return all, err
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
			m.ID, m.Started.Format(time.RFC3339), m.Finished.Sub(m.Started).Round(time.Second).String(), position(replication.Position(m.Stop)),
			strconv.Itoa(len(m.DatabasesAtEnd)), dump.Size(m.Size), dump.Size(m.Stored), held,
		})
	}
	return table(cmd.OutOrStdout(), "BACKUP STARTED TOOK STOP DATABASES SIZE STORED HELD", rows)
}

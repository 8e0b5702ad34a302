package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"howdah/backup/drill"
	"howdah/backup/repository"
	"howdah/backup/restore"
	"howdah/provision/dump"
	"howdah/wire/postgres"
)

func backupDrill() *cobra.Command {
	var p printer
	f := clusterFlag{writes: true}
	var to, database, superuser string
	var list bool
	cmd := &cobra.Command{
		Use: "drill", Short: "Restore what is stored, to see whether that can be done", Args: noArgs,
		Long: "Restore a cluster, or one database of it, into a folder in scratch_dir, have PostgreSQL's own programs look it through,\n" +
			"and remove it. What came of it is stored: how long it took (RTO), and how much would have been lost (RPO). A drill\n" +
			"that fails ends with exit code 1.\n\n" +
			"pg_verifybackup compares all files with PostgreSQL's manifest, amcheck each index with itself, and pg_dump dumps the\n" +
			"database: of a cluster the largest. --to is latest, random, or what `howdah restore` takes.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM) // nothing is to be left behind
			defer stop()
			config, r, err := f.open(cmd)
			if err != nil {
				return err
			}
			if list {
				all, err := drill.List(ctx, r, 0)
				return errors.Join(p.drills(cmd, all), err)
			}
			if _, err := restore.ParseTarget(to); to != drill.Random && err != nil {
				return usageError{err}
			}
			d, err := config.drill(r)
			if err != nil {
				return err
			}
			d.To, d.Database, d.Superuser = to, database, superuser
			rec, err := d.Run(ctx)
			if rec != nil {
				err = errors.Join(p.drills(cmd, []drill.Record{*rec}), err)
			}
			return notThere(err)
		},
	}
	cmd.Flags().StringVar(&to, "to", "latest", "the moment (`WHEN`)")
	cmd.Flags().StringVar(&database, "database", "", "restore only the database that had this `name` at the moment")
	cmd.Flags().StringVar(&superuser, "superuser", postgres.Superuser, "the `name` of the cluster's superuser")
	cmd.Flags().BoolVar(&list, "list", false, "list the last drills, the newest first, and do none")
	f.flags(cmd)
	return p.flags(cmd)
}

// drill returns one of a repository, to which nothing but its target is missing.
func (c *Config) drill(r *repository.Repository) (*drill.Drill, error) {
	if c.Backup.IdentityFile == "" {
		return nil, errors.New("what is to be restored cannot be opened: give [backup] identity_file")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, which the server gets WAL by: %w", err)
	}
	return &drill.Drill{
		Repo: r, Get: []string{self, "wal", "archive-get", "--socket"}, Scratch: c.Backup.ScratchDir,
		Jobs: runtime.NumCPU(), Find: postgres.Find, Room: dump.CheckSpace,
	}, nil
}

// superuserOf is the user of an admin_url, who must be one.
func superuserOf(url string) string {
	if config, err := pgx.ParseConfig(url); url != "" && err == nil {
		return config.User
	}
	return postgres.Superuser
}

// drills prints what came of drills.
func (p *printer) drills(cmd *cobra.Command, all []drill.Record) error {
	if p.json {
		return object(cmd.OutOrStdout(), append([]drill.Record{}, all...))
	}
	var rows [][]string
	for i := range all {
		r := &all[i]
		outcome := "passed"
		if !r.Passed() {
			outcome = "failed: " + r.Error
		}
		what := r.Database
		if what == "" {
			what = "(all)"
		}
		rows = append(rows, []string{
			r.ID, what, r.Target, seconds(r.RPO), seconds(r.RTO), dump.Size(r.Bytes), fmt.Sprint(r.Databases), outcome,
		})
	}
	return table(cmd.OutOrStdout(), "DRILL DATABASE TARGET RPO RTO SIZE CHECKED OUTCOME", rows)
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Second / 10).String()
}

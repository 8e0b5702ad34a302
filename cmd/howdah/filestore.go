package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"howdah/backup/filestore"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/provision/dump"
	"howdah/wire/postgres"
)

func newFilestoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "filestore", Short: "Odoo's filestores: the files of attachments, beside the databases", Args: knownSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(filestoreSync(), filestoreRestore())
	return cmd
}

func filestoreSync() *cobra.Command {
	var p printer
	f := clusterFlag{writes: true}
	var from, database string
	cmd := &cobra.Command{
		Use: "sync --from DIR", Short: "Store the files of Odoo's filestores that are not stored yet", Args: noArgs,
		Long: "Store the files of Odoo's filestores that are not stored yet. DIR is the folder \"filestore\" in Odoo's data_dir, with a\n" +
			"folder for each database. Run it on Odoo's host, every hour or more often: what is attached and removed again\n" +
			"between two runs is not stored. Nothing is ever deleted from the store by it.\n\n" +
			"A file whose contents are not what its name says, as one that is being written, is left out and named; the next run\n" +
			"looks at it again.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" {
				return usageError{fmt.Errorf("%s: say --from which folder", cmd.CommandPath())}
			}
			_, r, err := f.open(cmd)
			if err != nil {
				return err
			}
			databases := []string{database}
			if database == "" {
				if databases, err = foldersIn(from); err != nil {
					return err
				}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			rows, err := syncFilestores(ctx, r, from, databases)
			return errors.Join(p.synced(cmd, rows), err)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the `folder` that has a folder for each database")
	cmd.Flags().StringVar(&database, "database", "", "only the files of the database of this `name`")
	f.flags(cmd)
	return p.flags(cmd)
}

// foldersIn returns the names of the folders in one.
func foldersIn(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		info, err := os.Stat(filepath.Join(dir, entry.Name())) // it may be a link to another disk
		if err != nil {
			return nil, err
		}
		if info.IsDir() && !filestore.Ours(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there is no filestore in %q: it has no folder", dir)
	}
	return names, nil
}

// syncedRow is what came of one database's filestore.
type syncedRow struct {
	Database string `json:"database"`
	filestore.Outcome
}

// syncFilestores goes on with the others where one fails.
func syncFilestores(ctx context.Context, r *repository.Repository, from string, databases []string) (rows []syncedRow, err error) {
	var failed []error
	for _, database := range databases {
		if ctx.Err() != nil {
			break
		}
		f := filestore.Filestore{Repo: r, Database: database}
		outcome, err := f.Sync(ctx, filepath.Join(from, database), nil)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		rows = append(rows, syncedRow{database, outcome})
	}
	return rows, errors.Join(append(failed, ctx.Err())...)
}

func (p *printer) synced(cmd *cobra.Command, all []syncedRow) error {
	if p.json {
		return object(cmd.OutOrStdout(), append([]syncedRow{}, all...))
	}
	var rows [][]string
	for i := range all {
		row := &all[i]
		rows = append(rows, []string{row.Database, strconv.Itoa(row.Files), dump.Size(row.Bytes), strconv.Itoa(row.New), dump.Size(row.Added), strconv.Itoa(len(row.Odd))})
		for _, name := range row.Odd {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s is not what its name says: left out\n", row.Database, name)
		}
	}
	return table(cmd.OutOrStdout(), "DATABASE FILES SIZE NEW STORED ODD", rows)
}

// filestoreRestoring is what `howdah filestore restore` is told.
type filestoreRestoring struct {
	printer
	clusterFlag
	databases      []string
	dump, of, into string
}

func filestoreRestore() *cobra.Command {
	var r filestoreRestoring
	cmd := &cobra.Command{
		Use: "restore --database NAME --into DIR", Short: "Fetch the files that a database refers to, or that of a dump", Args: noArgs,
		Long: "Fetch the files that a database refers to: the one of a dump, as `howdah restore --database` or `howdah export fetch`\n" +
			"makes it, or the one at URL, as after `howdah tenant restore`. NAME is the name of the database when its files were\n" +
			"stored; where it had several in the course of time, all may be given. Files that are in the folder already, and whole,\n" +
			"stay as they are: it may be the one that Odoo uses. What is put there has its owner and mode, and a folder that is made\n" +
			"those of the one that it is in, unless that is root's.\n\n" +
			"URL is one of PostgreSQL, or \"dbname=NAME host=HOST\"; what it leaves out is taken from PGHOST, PGUSER, PGPASSWORD and\n" +
			"the like: a password in it would be seen by all users of this host. Nothing is changed there.\n\n" +
			"Files that are not stored, or damaged, are named, and the exit code is 1: all others are there then.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(r.databases) == 0 || r.into == "" || (r.dump == "") == (r.of == "") {
				return usageError{fmt.Errorf("%s: say --database which, --dump or --from-database what refers to the files, and --into which folder", cmd.CommandPath())}
			}
			_, repo, err := r.open(cmd)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			names, err := r.names(ctx)
			if err != nil {
				return err
			}
			return r.fetch(ctx, cmd, repo, names)
		},
	}
	cmd.Flags().StringArrayVar(&r.databases, "database", nil, "the `name` of the database")
	cmd.Flags().StringVar(&r.dump, "dump", "", "a dump of it, of pg_dump's formats directory or custom (`path`)")
	cmd.Flags().StringVar(&r.of, "from-database", "", "the database itself (`URL`)")
	cmd.Flags().StringVar(&r.into, "into", "", "the `folder` for the files; it is made unless it is there")
	r.clusterFlag.flags(cmd)
	return r.printer.flags(cmd)
}

// names returns the names of the files that are wanted.
func (r *filestoreRestoring) names(ctx context.Context) ([]string, error) {
	if r.dump != "" {
		binaries, err := postgres.FindClient(0)
		if err != nil {
			return nil, err
		}
		return filestore.NamesInDump(ctx, binaries.Path("pg_restore"), r.dump, 0)
	}
	conn, err := pgx.Connect(ctx, r.of)
	if err != nil {
		return nil, fmt.Errorf("log in to the database that refers to the files: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return filestore.NamesInDatabase(ctx, conn, 0)
}

// filestoreRow is what came of it.
type filestoreRow struct {
	Database string `json:"database"`
	Into     string `json:"into"`
	filestore.Fetched
	Synced time.Time `json:"synced,omitzero"` // when the last sync began that came to its end, as far as is known
}

func (r *filestoreRestoring) fetch(ctx context.Context, cmd *cobra.Command, repo *repository.Repository, names []string) error {
	var all filestore.Filestores
	for _, database := range r.databases {
		all = append(all, &filestore.Filestore{Repo: repo, Database: database})
	}
	row := filestoreRow{Database: strings.Join(r.databases, " "), Into: r.into}
	var err error
	row.Synced, err = all.Synced(ctx)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) { // files may be stored all the same
		var some bool
		if some, err = all.Some(ctx); err == nil && !some {
			err = store.ErrNotFound
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return notThere(fmt.Errorf("no filestore of database %q is stored for cluster %q: `howdah filestore sync` stores it: %w", row.Database, repo.Cluster, err))
	}
	if err != nil {
		return err
	}
	if row.Fetched, err = all.Fetch(ctx, names, r.into, filestore.FetchOptions{}); err != nil {
		return err
	}
	if r.json {
		err = object(cmd.OutOrStdout(), row)
	} else {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d files are in %s, of which %d were fetched (%s)\n", row.Files, row.Into, row.New, dump.Size(row.Bytes))
	}
	row.names(cmd.ErrOrStderr())
	if n := len(row.Missing) + len(row.Damaged); err == nil && n > 0 {
		last := "no sync is known to have come to its end"
		if !row.Synced.IsZero() {
			last = "the last sync that came to its end began at " + row.Synced.Format(time.RFC3339)
		}
		err = fmt.Errorf("%d files are not stored, or damaged; %s", n, last)
	}
	return err
}

// names writes the names of the files that were not fetched. Some are a tenant's, who can have
// made them of whatever a terminal obeys.
func (row *filestoreRow) names(w io.Writer) {
	for _, of := range []struct {
		what  string
		names []string
	}{{"missing", row.Missing}, {"damaged", row.Damaged}, {"of no filestore", row.Foreign}} {
		for _, name := range of.names {
			fmt.Fprintf(w, "%s: %q\n", of.what, name)
		}
	}
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"howdah/backup/base"
	"howdah/backup/restore"
	"howdah/provision/dump"
	"howdah/wire/postgres"
)

// restoring is what `howdah restore` is told.
type restoring struct {
	printer
	clusterFlag
	to, into, base string
	database       string
	superuser      string
	timeline       uint32
	tablespaces    []string
	dry            bool
	noConfig       bool
}

func newRestoreCommand() *cobra.Command {
	var r restoring
	cmd := &cobra.Command{
		Use: "restore --to WHEN --into DIR", Short: "Put a cluster, or one database of it, back to a moment, into a new directory", Args: noArgs,
		Long: "Put a cluster back to a moment, from the store alone: no daemon, and no server, need be there. The programs of the\n" +
			"cluster's PostgreSQL version must be installed, and identity_file must be given.\n\n" +
			"The newest base backup before the moment is unpacked into DIR, and a server that nobody can log in to recovers\n" +
			"there. When the command is done DIR is a data directory that was shut down, on a timeline of its own: start it as\n" +
			"any other. Tablespaces go into DIR too, unless --tablespace says where else: never to where they were. Those\n" +
			"that were made after the base backup all go into DIR. Configuration\n" +
			"that was outside of the data directory comes back into DIR/" + restore.ConfigurationFolder + ", where no server reads it: look it through\n" +
			"and put it where it belongs. Meanwhile DIR has plain files that it starts by.\n\n" +
			"With --database only that one's part of the base backup is fetched, and DIR becomes a dump of it, which pg_restore reads:\n" +
			"`howdah export add DIR --tenant NAME` and `howdah tenant import` make a tenant of it, beside the one that lives. Its\n" +
			"indexes are checked before. What is unpacked meanwhile is in scratch_dir of [backup], and is removed.\n\n" +
			"WHEN is latest; a time with its zone, as in 2026-01-31T10:42:00Z or \"2026-01-31 10:42:00 Europe/Brussels\";\n" +
			"lsn:16/B374D848; xid:1234; or name:LABEL, of a restore point. Where a transaction or a restore point is shows only\n" +
			"when the WAL is read: if that is before the newest base backup, the one before it is begun with then.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM) // nothing is to be left behind
			defer stop()
			cmd.SetContext(ctx)
			return r.run(cmd)
		},
	}
	cmd.Flags().StringVar(&r.to, "to", "", "the moment (`WHEN`)")
	cmd.Flags().StringVar(&r.into, "into", "", "a `folder` that is not there yet, or is empty")
	cmd.Flags().StringVar(&r.database, "database", "", "restore only the database that had this `name` at the moment")
	cmd.Flags().StringVar(&r.superuser, "superuser", postgres.Superuser, "the `name` of the cluster's superuser, for --database")
	cmd.Flags().StringVar(&r.base, "base", "", "the `id` of the base backup to begin with (default: the newest before the moment)")
	cmd.Flags().Uint32Var(&r.timeline, "timeline", 0, "the timeline that the moment is on (default: the newest)")
	cmd.Flags().StringArrayVar(&r.tablespaces, "tablespace", nil, "`OID=FOLDER`: where a tablespace goes")
	cmd.Flags().BoolVar(&r.dry, "dry-run", false, "say whether it can be done, and what will be read")
	cmd.Flags().BoolVar(&r.noConfig, "no-configuration", false, "leave out the configuration that was outside of the data directory")
	r.clusterFlag.flags(cmd)
	return r.printer.flags(cmd)
}

func (r *restoring) run(cmd *cobra.Command) error {
	if r.to == "" || r.into == "" && !r.dry {
		return usageError{fmt.Errorf("%s: say --to when, and --into which folder", cmd.CommandPath())}
	}
	target, err := restore.ParseTarget(r.to)
	if err != nil {
		return usageError{err}
	}
	spaces, err := parseTablespaces(r.tablespaces)
	if err != nil {
		return usageError{err}
	}
	if r.database != "" && len(spaces) > 0 {
		return usageError{errors.New("--tablespace is for whole clusters: of a database a dump is made")}
	}
	config, repo, err := r.open(cmd)
	if err != nil {
		return err
	}
	plan, err := restore.Make(cmd.Context(), repo, target, r.timeline, r.base)
	if err != nil {
		return notThere(err)
	}
	if r.dry {
		return r.told(cmd, plan, restoreRow{})
	}
	into, err := filepath.Abs(r.into)
	if err != nil {
		return err
	}
	binaries, err := postgres.Find(plan.Identity.Major)
	if err != nil {
		return err
	}
	get, err := archiveGetCommand()
	if err != nil {
		return err
	}
	if !r.json {
		if err := r.told(cmd, plan, restoreRow{}); err != nil {
			return err
		}
	}
	begun, first, shown := time.Now(), plan.Base.ID, r.meter(cmd)
	outcome, configuration := fmt.Sprintf("%s is shut down, start it with PostgreSQL %d; postgresql.auto.conf has it archive nowhere", into, plan.Identity.Major), ""
	if r.database != "" {
		outcome = fmt.Sprintf("%s is a dump of database %q", into, r.database)
		d := &restore.Database{Repo: repo, Name: r.database, Superuser: r.superuser, Into: into, Binaries: binaries, Get: get, Scratch: config.Backup.ScratchDir, Jobs: runtime.NumCPU(), Progress: func(part string, p base.Progress) { shown.tell(part, p.Done, p.Total) }}
		err = d.Run(cmd.Context(), plan)
	} else {
		c := &restore.Cluster{Repo: repo, Dir: into, Tablespaces: spaces, Binaries: binaries, Get: get, Scratch: config.Backup.ScratchDir, NoConfiguration: r.noConfig, Progress: func(p base.Progress) { shown.tell(restore.Fetch, p.Done, p.Total) }}
		err = c.Run(cmd.Context(), plan)
		outcome, configuration = outcome+configurationSays(c, plan.Base), c.Configuration
	}
	shown.end()
	if err != nil {
		return err
	}
	fetched := config.fetched()
	if r.json {
		return r.told(cmd, plan, restoreRow{Into: into, Configuration: configuration, Fetched: fetched})
	}
	if plan.Base.ID != first {
		outcome += fmt.Sprintf("; %s turned out to be before base backup %s, and was reached from %s", plan.Target, first, plan.Base.ID)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "restored in %s, with %s fetched from the store: %s\n", time.Since(begun).Round(time.Second/10), dump.Size(fetched), outcome)
	return err
}

// configurationSays tells of the configuration that was outside of the data directory.
func configurationSays(c *restore.Cluster, m *base.Manifest) (text string) {
	if c.Configuration != "" {
		text = fmt.Sprintf("\nconfiguration that was outside of the data directory is in %s, by the paths that it had: look it through, for it may name folders of the live cluster (data_directory), and put it where the server is to find it", c.Configuration)
	}
	if c.Plain {
		text += fmt.Sprintf("\nit had no postgresql.conf of its own: %s has a plain one, and a pg_hba.conf, by which it starts", c.Dir)
	}
	if m.ConfigurationMissing != "" {
		text += fmt.Sprintf("\nnot all of the configuration was taken along: %q", m.ConfigurationMissing)
	}
	return text
}

// archiveGetCommand is the command by which a server that recovers gets WAL, in front of the
// socket's path: this program.
func archiveGetCommand() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, which the server gets WAL by: %w", err)
	}
	return []string{self, "wal", "archive-get", "--socket"}, nil
}

// restoreRow is what a restore does, or has done.
type restoreRow struct {
	Cluster  string `json:"cluster"`
	Target   string `json:"target"`
	Base     string `json:"base_backup"`
	Taken    string `json:"taken"`
	From     string `json:"from_lsn"`
	Until    string `json:"stored_until_lsn"`
	Timeline uint32 `json:"timeline"`
	Bytes    int64  `json:"base_backup_bytes"`
	WAL      int64  `json:"wal_bytes_at_most"`

	// What has come of it.
	Into          string `json:"into,omitempty"`
	Configuration string `json:"configuration,omitempty"` // the folder of what was outside of the data directory
	Fetched       int64  `json:"fetched_bytes,omitempty"` // from the store
}

// told says what is to be done, and in JSON what has come of it too.
func (r *restoring) told(cmd *cobra.Command, p *restore.Plan, row restoreRow) error {
	row.Cluster, row.Target, row.Base, row.Taken = r.cluster, p.Target.String(), p.Base.ID, p.Base.Finished.Format(time.RFC3339)
	row.From, row.Until, row.Timeline = p.Base.Start.LSN.String(), p.Until.LSN.String(), p.Timeline
	row.Bytes, row.WAL = p.BaseBytes(), p.WALBytes()
	if r.json {
		return object(cmd.OutOrStdout(), row)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "cluster %s to %s: base backup %s (%s, taken %s), then at most %s of WAL from %s on, stored until %s on timeline %d\n",
		row.Cluster, row.Target, row.Base, dump.Size(row.Bytes), row.Taken, dump.Size(row.WAL), row.From, row.Until, row.Timeline)
	return err
}

// parseTablespaces reads OID=FOLDER.
func parseTablespaces(all []string) (map[uint32]string, error) {
	spaces := map[uint32]string{}
	for _, text := range all {
		oid, folder, _ := strings.Cut(text, "=")
		n, err := strconv.ParseUint(oid, 10, 32)
		if err != nil || !filepath.IsAbs(folder) {
			return nil, fmt.Errorf("--tablespace %q: write OID=/absolute/path", text)
		}
		if _, twice := spaces[uint32(n)]; twice {
			return nil, errors.New("--tablespace: " + oid + " is given twice")
		}
		spaces[uint32(n)] = folder
	}
	return spaces, nil
}

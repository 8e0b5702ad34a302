package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"howdah/backup/verify"
	"howdah/provision/dump"
)

func backupVerify() *cobra.Command {
	var p printer
	var f clusterFlag
	var v verify.Verification
	cmd := &cobra.Command{
		Use: "verify", Short: "Read all that is stored of a cluster again, and say what is damaged", Args: noArgs,
		Long: "Read base backups, WAL and the exports of a cluster's tenants again, compare them with their sums, and follow the WAL\n" +
			"from each base backup on. No key is needed for that. --deep also decrypts everything, which takes identity_file, and\n" +
			"compares each file with PostgreSQL's own manifest, and each segment with what it says of itself.\n\n" +
			"It exits with 1 if anything is damaged or missing, or a store with exports cannot be read. A gap that is recorded is told and is no damage.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			config, r, err := f.open(cmd)
			if err != nil {
				return err
			}
			if v.Open && config.Backup.IdentityFile == "" {
				return usageError{errors.New("--deep needs the key: give identity_file in [backup]")}
			}
			v.Repo = r
			var away error
			if v.Exports, away = config.exportPlaces((*Store).openToRead); away != nil {
				v.Away = append(v.Away, away)
			}
			return notThere(runVerify(ctx, cmd, &p, &v))
		},
	}
	cmd.Flags().StringVar(&v.Backup, "backup", "", "only the base backup of this `id`, and the WAL behind it")
	cmd.Flags().BoolVar(&v.Open, "deep", false, "decrypt too, and compare what is in the objects")
	f.flags(cmd)
	return p.flags(cmd)
}

func runVerify(ctx context.Context, cmd *cobra.Command, p *printer, v *verify.Verification) error {
	shown := p.meter(cmd)
	if shown != nil {
		v.Progress = func(done, total int64) { shown.tell("", done, total) }
	}
	begun := time.Now()
	report, err := v.Run(ctx)
	shown.end()
	if err == nil {
		err = p.verified(cmd, report, time.Since(begun))
	}
	if err == nil && len(report.Damage) > 0 {
		err = fmt.Errorf("%d findings: what is stored of cluster %q is damaged", len(report.Damage), report.Cluster)
	}
	if err == nil && len(report.Unread) > 0 {
		err = errors.New("not all exports could be looked at")
	}
	return err
}

func (p *printer) verified(cmd *cobra.Command, r *verify.Report, took time.Duration) error {
	out := cmd.OutOrStdout()
	if p.json {
		return object(out, r)
	}
	var rows [][]string
	for _, b := range r.Bases {
		hole := "-"
		if b.Hole != "" {
			hole = "WAL is missing then"
		}
		rows = append(rows, []string{b.ID, b.Until, fmt.Sprint(b.Timeline), timeOrDash(b.Before), hole})
	}
	if err := table(out, "BACKUP LEADS_TO TIMELINE TIME NOTE", rows); err != nil {
		return err
	}
	for _, f := range r.Damage {
		fmt.Fprintf(out, "DAMAGED %s: %s\n", f.What, f.Problem)
	}
	for _, f := range r.Unread {
		fmt.Fprintf(out, "NOT READ %s: %s\n", f.What, f.Problem)
	}
	for _, f := range r.Notes {
		fmt.Fprintf(out, "note %s: %s\n", f.What, f.Problem)
	}
	rate := int64(float64(r.Bytes) / max(took.Seconds(), 0.001))
	_, err := fmt.Fprintf(out, "%d base backups, %d other objects and %d exports, %s, were read in %s (%s/s)\n",
		len(r.Bases), r.Objects, r.Exports, dump.Size(r.Bytes), took.Round(time.Second/10), dump.Size(rate))
	return err
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"howdah/provision/dump"
)

// restoredRow is what `tenant restore` prints.
type restoredRow struct {
	newTenantRow
	Tenant     string    `json:"tenant"`
	Target     string    `json:"target"`
	From       string    `json:"from"`
	Base       string    `json:"base_backup"`
	Taken      time.Time `json:"base_backup_taken"`
	Fetch      int64     `json:"fetch_bytes"`
	WAL        int64     `json:"wal_bytes"`
	Room       int64     `json:"room_bytes"`
	About      float64   `json:"about_seconds"`
	Neutralise string    `json:"neutralise"`
	Swap       bool      `json:"swap"`

	Files     string          `json:"files,omitempty"`     // what there is of those that the database refers to
	Filestore json.RawMessage `json:"filestore,omitempty"` // the same, in numbers
	Rights    string          `json:"rights,omitempty"`    // of others, that were not restored
}

// tenantRestoring is what the command is told, and asks the API for.
type tenantRestoring struct {
	printer
	To         string `json:"to"`
	As         string `json:"as,omitempty"`
	Neutralise string `json:"neutralise,omitempty"`
	Swap       bool   `json:"swap,omitempty"`

	undo, dry, loud bool
}

func tenantRestore() *cobra.Command {
	var r tenantRestoring
	cmd := &cobra.Command{
		Use: "restore NAME --to WHEN", Short: "Restore a tenant to a moment, beside it or in its place", Args: oneName,
		Long: "Restore a tenant to a moment, from the base backups and the WAL of its cluster; all tenants work on meanwhile.\n\n" +
			"Of the newest base backup before the moment only the tenant's part is fetched, and a server of its own recovers\n" +
			"until the moment. What it has is dumped, and restored as a new tenant's role into a new database beside the tenant.\n" +
			"--dry-run says whether the moment can be reached, what will be read, and for about how long.\n\n" +
			"An Odoo database is neutralised before anybody can see it, as `howdah tenant clone` does it, and gets another uuid\n" +
			"and secret; with --no-neutralise it runs crons and sends mails as the tenant does.\n\n" +
			"With --swap what was restored takes the tenant's place at the end: its clients wait for a moment and go on with it,\n" +
			"under the same name, user and password, with the settings and rights that the tenant has. It is not neutralised. The\n" +
			"database that was there is kept, closed, as a dropped tenant's is (`howdah tenant list --dropped`); until it is purged\n" +
			"--undo swaps it in again, and keeps the other.\n\n" +
			"The files that an Odoo database refers to are fetched into the folder of filestore_dir of [backup] that is called like\n" +
			"the new tenant, which does not wait for them, or the one in whose place it comes; without filestore_dir the command is told that does it on Odoo's\n" +
			"host. Files that `howdah filestore sync` has not stored are named.\n\n" +
			"WHEN is latest; a time with its zone, as in 2026-01-31T10:42:00Z or \"2026-01-31 10:42:00 Europe/Brussels\";\n" +
			"lsn:16/B374D848; xid:1234; or name:LABEL, of a restore point.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.undo {
				return r.runUndo(cmd, args[0])
			}
			return r.run(cmd, args[0])
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.To, "to", "", "the moment (`WHEN`)")
	f.StringVar(&r.As, "as", "", "the new tenant's `name` (default: the tenant's, and _restored)")
	f.StringVar(&r.Neutralise, "neutralise", "", "auto, builtin or none (default auto)")
	f.BoolVar(&r.loud, "no-neutralise", false, "the same as --neutralise none")
	f.BoolVar(&r.Swap, "swap", false, "put it in the tenant's place")
	f.BoolVar(&r.undo, "undo", false, "give the tenant the database back that it had before it was swapped")
	f.BoolVar(&r.yes, "yes", false, "do not ask")
	f.BoolVar(&r.dry, "dry-run", false, "say whether it can be done, and what it takes, and do nothing")
	cmd.MarkFlagsMutuallyExclusive("neutralise", "no-neutralise")
	for _, other := range []string{"to", "as", "neutralise", "no-neutralise", "swap"} {
		cmd.MarkFlagsMutuallyExclusive("undo", other)
	}
	cmd.MarkFlagsMutuallyExclusive("swap", "as")
	return r.jobFlags(cmd)
}

// run begins a restore, or says what it would do.
func (r *tenantRestoring) run(cmd *cobra.Command, name string) error {
	if r.To == "" {
		return usageError{fmt.Errorf("%s: say --to when", cmd.CommandPath())}
	}
	if r.loud {
		r.Neutralise = "none"
	}
	ask := ""
	switch {
	case r.dry:
	case r.Swap:
		ask = fmt.Sprintf("have tenant %q be what it was at %s: what it has now is kept beside, and nobody sees it", name, r.To)
	case r.Neutralise == "none":
		ask = fmt.Sprintf("have the restored copy of tenant %q send mails and run crons as the tenant does", name)
	}
	if ask != "" {
		if err := r.confirm(cmd, ask); err != nil {
			return err
		}
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	row, err := r.begin(cmd, c, fmt.Sprintf("/tenants/%s/restore?dry_run=%s", url.PathEscape(name), strconv.FormatBool(r.dry)), r)
	if err != nil {
		return err
	}
	if r.dry {
		return r.plan(cmd, row)
	}
	if row.Password != "" {
		row.URL = (&url.URL{Scheme: "postgres", User: url.UserPassword(row.User, row.Password), Host: c.poolerAt, Path: "/" + row.Name}).String()
	}
	if !r.noWait {
		if !r.json {
			fmt.Fprintln(cmd.ErrOrStderr(), row.says())
		}
		err = r.follow(cmd, c, row.Job)
		if errors.Is(err, errUndone) {
			return err
		}
		err = errors.Join(err, row.outcome(cmd.Context(), c))
	}
	return errors.Join(err, r.restored(cmd, row)) // it may still come, and the password is not told again
}

// runUndo swaps back.
func (r *tenantRestoring) runUndo(cmd *cobra.Command, name string) error {
	if !r.dry {
		if err := r.confirm(cmd, fmt.Sprintf("have tenant %q get the database back that it had before it was swapped: the one that it has is kept beside", name)); err != nil {
			return err
		}
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	row, err := r.begin(cmd, c, fmt.Sprintf("/tenants/%s/restore/undo?dry_run=%s", url.PathEscape(name), strconv.FormatBool(r.dry)), nil)
	switch {
	case err != nil:
		return err
	case r.dry && !r.json:
		printSteps(cmd, row.Steps)
		return nil
	case !r.dry && !r.noWait:
		if err := r.follow(cmd, c, row.Job); err != nil {
			return err
		}
		if err := row.outcome(cmd.Context(), c); err != nil {
			return err
		}
	}
	return r.restored(cmd, row)
}

// outcome reads what the job has to tell.
func (r *restoredRow) outcome(ctx context.Context, c *client) error {
	var last job
	if err := c.do(ctx, http.MethodGet, "/jobs/"+r.Job, nil, &last); err != nil || last.Result == nil {
		return err
	}
	var told struct {
		Files     string          `json:"files"`
		Filestore json.RawMessage `json:"filestore"`
		Rights    string          `json:"rights"`
	}
	err := json.Unmarshal(last.Result, &told)
	r.Files, r.Filestore, r.Rights = told.Files, told.Filestore, told.Rights
	return err
}

// begin asks the API.
func (r *tenantRestoring) begin(cmd *cobra.Command, c *client, path string, body any) (*restoredRow, error) {
	var made struct {
		restoredRow
		Operation *job `json:"operation"`
	}
	if err := c.do(cmd.Context(), http.MethodPost, path, body, &made); err != nil {
		return nil, err
	}
	if made.Operation != nil {
		made.Job = made.Operation.ID
	}
	return &made.restoredRow, nil
}

func (r *restoredRow) says() string {
	return fmt.Sprintf("tenant %s is restored to %s from base backup %s, taken %s: %s to fetch, at most %s of WAL to read, about %s needed on disk for the time being; about %s, an estimate",
		r.Tenant, r.Target, r.Base, r.Taken.Format(time.RFC3339), dump.Size(r.Fetch), dump.Size(r.WAL), dump.Size(r.Room), time.Duration(r.About*float64(time.Second)).Round(time.Second))
}

func (r *tenantRestoring) plan(cmd *cobra.Command, row *restoredRow) error {
	if r.json {
		return object(cmd.OutOrStdout(), row)
	}
	fmt.Fprintln(cmd.OutOrStdout(), row.says())
	printSteps(cmd, row.Steps)
	return nil
}

func (r *tenantRestoring) restored(cmd *cobra.Command, row *restoredRow) error {
	for _, note := range []string{row.Rights, row.Files} {
		if note != "" && !r.json {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", note)
		}
	}
	switch {
	case r.json:
		return object(cmd.OutOrStdout(), row)
	case row.Password != "":
		return r.created(cmd, &row.newTenantRow)
	case r.noWait:
		_, err := fmt.Fprintln(cmd.OutOrStdout(), row.Job)
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "tenant %s has another database: what it had is kept; `howdah tenant restore %s --undo` swaps back\n", row.Tenant, row.Tenant)
	return err
}

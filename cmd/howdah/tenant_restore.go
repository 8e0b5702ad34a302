package main

import (
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
}

// restoreBody is what the API is asked for.
type restoreBody struct {
	To         string `json:"to"`
	As         string `json:"as,omitempty"`
	Neutralise string `json:"neutralise,omitempty"`
}

func tenantRestore() *cobra.Command {
	var p printer
	var body restoreBody
	var dry, loud bool
	cmd := &cobra.Command{
		Use: "restore NAME --to WHEN", Short: "Restore a tenant to a moment, as a new tenant beside it", Args: oneName,
		Long: "Restore a tenant to a moment, from the base backups and the WAL of its cluster; all tenants work on meanwhile.\n\n" +
			"Of the newest base backup before the moment only the tenant's part is fetched, and a server of its own recovers\n" +
			"until the moment. What it has is dumped, and restored as a new tenant's role into a new database beside the tenant.\n" +
			"--dry-run says whether the moment can be reached, what will be read, and for about how long.\n\n" +
			"An Odoo database is neutralised before anybody can see it, as `howdah tenant clone` does it, and gets another uuid\n" +
			"and secret; with --no-neutralise it runs crons and sends mails as the tenant does.\n\n" +
			"WHEN is latest; a time with its zone, as in 2026-01-31T10:42:00Z or \"2026-01-31 10:42:00 Europe/Brussels\";\n" +
			"lsn:16/B374D848; xid:1234; or name:LABEL, of a restore point.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if body.To == "" {
				return usageError{fmt.Errorf("%s: say --to when", cmd.CommandPath())}
			}
			if loud {
				body.Neutralise = "none"
			}
			if body.Neutralise == "none" && !dry {
				if err := p.confirm(cmd, fmt.Sprintf("have the restored copy of tenant %q send mails and run crons as the tenant does", args[0])); err != nil {
					return err
				}
			}
			c, err := newClient()
			if err != nil {
				return err
			}
			return p.restore(cmd, c, args[0], &body, dry)
		},
	}
	f := cmd.Flags()
	f.StringVar(&body.To, "to", "", "the moment (`WHEN`)")
	f.StringVar(&body.As, "as", "", "the new tenant's `name` (default: the tenant's, and _restored)")
	f.StringVar(&body.Neutralise, "neutralise", "auto", "auto, builtin or none")
	f.BoolVar(&loud, "no-neutralise", false, "the same as --neutralise none")
	f.BoolVar(&p.yes, "yes", false, "do not ask")
	f.BoolVar(&dry, "dry-run", false, "say whether it can be done, and what it takes, and do nothing")
	cmd.MarkFlagsMutuallyExclusive("neutralise", "no-neutralise")
	return p.jobFlags(cmd)
}

// restore begins a restore, or says what it would do.
func (p *printer) restore(cmd *cobra.Command, c *client, name string, body *restoreBody, dry bool) error {
	var made struct {
		restoredRow
		Operation *job `json:"operation"`
	}
	path := fmt.Sprintf("/tenants/%s/restore?dry_run=%s", url.PathEscape(name), strconv.FormatBool(dry))
	if err := c.do(cmd.Context(), http.MethodPost, path, body, &made); err != nil {
		return err
	}
	row := &made.restoredRow
	if dry {
		return p.restorePlan(cmd, row)
	}
	row.Job = made.Operation.ID
	row.URL = (&url.URL{Scheme: "postgres", User: url.UserPassword(row.User, row.Password), Host: c.poolerAt, Path: "/" + row.Name}).String()
	if p.noWait {
		return p.restored(cmd, row)
	}
	if !p.json {
		fmt.Fprintln(cmd.ErrOrStderr(), row.says())
	}
	err := p.follow(cmd, c, row.Job)
	if errors.Is(err, errUndone) {
		return err
	}
	return errors.Join(err, p.restored(cmd, row)) // it may still come, and the password is not told again
}

func (r *restoredRow) says() string {
	return fmt.Sprintf("tenant %s is restored to %s from base backup %s, taken %s: %s to fetch, at most %s of WAL to read, about %s needed on disk for the time being; about %s, an estimate",
		r.Tenant, r.Target, r.Base, r.Taken.Format(time.RFC3339), dump.Size(r.Fetch), dump.Size(r.WAL), dump.Size(r.Room), time.Duration(r.About*float64(time.Second)).Round(time.Second))
}

func (p *printer) restorePlan(cmd *cobra.Command, r *restoredRow) error {
	if p.json {
		return object(cmd.OutOrStdout(), r)
	}
	fmt.Fprintln(cmd.OutOrStdout(), r.says())
	printSteps(cmd, r.Steps)
	return nil
}

func (p *printer) restored(cmd *cobra.Command, r *restoredRow) error {
	if p.json {
		return object(cmd.OutOrStdout(), r)
	}
	return p.created(cmd, &r.newTenantRow)
}

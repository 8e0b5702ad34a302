package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

// cloneRow is what `tenant clone` prints.
type cloneRow struct {
	newTenantRow
	Source     string  `json:"source"`
	How        string  `json:"how"`
	WhyHow     string  `json:"why_how"`
	HeldFor    float64 `json:"held_for_seconds"`
	Neutralise string  `json:"neutralise"`
}

func tenantClone() *cobra.Command {
	var p printer
	var body struct {
		Name       string `json:"name"`
		Cluster    string `json:"cluster,omitempty"`
		Tier       string `json:"tier,omitempty"`
		How        string `json:"how"`
		Neutralise string `json:"neutralise"`

		AnotherStore bool `json:"another_store,omitempty"`
	}
	var dry, loud bool
	cmd := &cobra.Command{
		Use: "clone NAME NEW", Short: "Make a tenant as a copy of another, for staging: neutralised, if it is an Odoo",
		Long: "Make a tenant as a copy of another, with a role and a password of its own.\n\n" +
			"template copies the database while the source's clients are held; dump dumps it from one snapshot and restores it\n" +
			"while they work. auto is template where that should take under a second, else dump; on another cluster it is dump.\n" +
			"A copy that auto has chosen is broken off when it has held clients for 1.5 s, and the clone goes on by a dump.\n\n" +
			"A copy of an Odoo database gets another uuid and secret, and is neutralised before anybody can see it: crons, mail\n" +
			"servers, payment providers and the like are off, by the modules' own data where odoo_addons_path in [catalog] says\n" +
			"where those are (auto), else by a built-in list (builtin). Odoo's filestore is not Howdah's: copy it beside.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] == "" || args[1] == "" {
				return usageError{fmt.Errorf("%s takes a tenant's name and its clone's; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if loud {
				body.Neutralise = "none"
			}
			if body.Neutralise == "none" && !dry {
				if err := p.confirm(cmd, fmt.Sprintf("have the copy of tenant %q send mails and run crons as its source does", args[0])); err != nil {
					return err
				}
			}
			c, err := newClient()
			if err != nil {
				return err
			}
			body.Name = args[1]
			var made struct {
				cloneRow
				Operation *job `json:"operation"`
			}
			path := fmt.Sprintf("/tenants/%s/clone?dry_run=%s", url.PathEscape(args[0]), strconv.FormatBool(dry))
			if err := c.do(cmd.Context(), http.MethodPost, path, body, &made); err != nil {
				return err
			}
			row := &made.cloneRow
			if dry {
				return p.clonePlan(cmd, row)
			}
			row.Job = made.Operation.ID
			row.URL = (&url.URL{Scheme: "postgres", User: url.UserPassword(row.User, row.Password), Host: c.poolerAt, Path: "/" + row.Name}).String()
			if p.noWait {
				return p.cloned(cmd, row)
			}
			if !p.json {
				fmt.Fprintln(cmd.ErrOrStderr(), row.says())
			}
			err = p.follow(cmd, c, row.Job)
			if errors.Is(err, errUndone) {
				return err
			}
			return errors.Join(err, p.cloned(cmd, row)) // the clone may still come, and the password is not told again
		},
	}
	f := cmd.Flags()
	f.StringVar(&body.Cluster, "cluster", "", "cluster (default: the source's)")
	f.StringVar(&body.Tier, "tier", "", "tier (default: the source's)")
	f.StringVar(&body.How, "how", "auto", "auto, template or dump")
	f.StringVar(&body.Neutralise, "neutralise", "auto", "auto, builtin or none")
	f.BoolVar(&loud, "no-neutralise", false, "the same as --neutralise none")
	f.BoolVar(&body.AnotherStore, "another-store", false, "go on though the cluster is backed up to another store")
	f.BoolVar(&p.yes, "yes", false, "do not ask")
	f.BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	cmd.MarkFlagsMutuallyExclusive("neutralise", "no-neutralise")
	return p.jobFlags(cmd)
}

func (c *cloneRow) says() string {
	held := "its clients are not held"
	if c.HeldFor > 0 {
		held = fmt.Sprintf("its clients will be held for about %.1f s", c.HeldFor)
	}
	return fmt.Sprintf("tenant %s is cloned to %s by %s (%s); %s", c.Source, c.Name, c.How, c.WhyHow, held)
}

func (p *printer) clonePlan(cmd *cobra.Command, c *cloneRow) error {
	if p.json {
		return object(cmd.OutOrStdout(), c)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "on cluster %s: %s\n%s\n", c.Cluster, c.Why, c.says())
	printSteps(cmd, c.Steps)
	return nil
}

func (p *printer) cloned(cmd *cobra.Command, c *cloneRow) error {
	if p.json {
		return object(cmd.OutOrStdout(), c)
	}
	return p.created(cmd, &c.newTenantRow)
}

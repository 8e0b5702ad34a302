package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"howdah/backup/export"
)

// exportRow is an export that is being made, as the API tells it.
type exportRow struct {
	Operation *job     `json:"operation,omitempty"`
	Name      string   `json:"name"`
	Export    string   `json:"export"`
	Size      int64    `json:"size"`
	Steps     []string `json:"steps,omitempty"`
}

func tenantExport() *cobra.Command {
	var p printer
	var dry bool
	cmd := &cobra.Command{
		Use: "export NAME", Short: "Export a tenant into the store; its users work on", Args: oneName,
		Long: "Export a tenant into the store of [backup], compressed and encrypted, as it is at one moment; its users work on.\n\n" +
			"`howdah tenant exports` lists exports, `howdah tenant import` makes a tenant of one, and `howdah export fetch`\n" +
			"makes a folder of it that pg_restore reads, for whoever wants the data.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			var row exportRow
			path := fmt.Sprintf("/tenants/%s/exports?dry_run=%s", url.PathEscape(args[0]), strconv.FormatBool(dry))
			if err := c.do(cmd.Context(), http.MethodPost, path, nil, &row); err != nil {
				return err
			}
			if !dry {
				if err := p.follow(cmd, c, row.Operation.ID); err != nil || p.noWait {
					return err
				}
			}
			if p.json {
				return object(cmd.OutOrStdout(), row)
			}
			if dry {
				printSteps(cmd, row.Steps)
				return nil
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), row.Export)
			return err
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	return p.jobFlags(cmd)
}

func tenantExports() *cobra.Command {
	var p printer
	return p.flags(&cobra.Command{
		Use: "exports [NAME]", Short: "List the exports of a tenant, or of all",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("%s takes at most one name; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			path := "/exports"
			if len(args) > 0 {
				path = "/tenants/" + url.PathEscape(args[0]) + "/exports"
			}
			all := []export.Manifest{}
			if err := c.do(cmd.Context(), http.MethodGet, path, nil, &all); err != nil {
				return err
			}
			return p.exports(cmd, all)
		},
	})
}

// exports prints a list of exports.
func (p *printer) exports(cmd *cobra.Command, all []export.Manifest) error {
	if p.json {
		for i := range all {
			all[i].Parts = nil
		}
		return object(cmd.OutOrStdout(), append([]export.Manifest{}, all...))
	}
	var rows [][]string
	for _, m := range all {
		rows = append(rows, exportColumns(&m))
	}
	return table(cmd.OutOrStdout(), "EXPORT TENANT TAKEN SERVER BYTES STORED", rows)
}

func exportColumns(m *export.Manifest) []string {
	return []string{m.ID, m.Tenant, m.Taken.Format(time.RFC3339), strconv.Itoa(m.Server), strconv.FormatInt(m.Size, 10), strconv.FormatInt(m.Stored, 10)}
}

func tenantImport() *cobra.Command {
	var n newTenantFlags
	cmd := &cobra.Command{
		Use: "import NAME --from EXPORT", Short: "Make a tenant of an export", Args: oneName,
		Long: "Make a tenant of an export that is in the store of [backup]; identity_file is needed there to open it.\n\n" +
			"The dump is restored as the new tenant's role, which owns everything then: rights that others had are not restored.\n" +
			"The cluster's PostgreSQL must be of the same version or a newer one. An import that fails leaves nothing.\n\n" +
			"An Odoo database goes on as what it was: with its uuid, its crons and its mail servers, for an import is mostly a\n" +
			"database that comes here to stay. For a copy, for staging, say --neutralise auto (or builtin): it is neutralised as\n" +
			"`howdah tenant clone` does it, before anybody can see it, and gets another uuid and secret.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if n.body.Export == "" {
				return usageError{fmt.Errorf("%s: say --from which export; `howdah tenant exports` lists them", cmd.CommandPath())}
			}
			return n.make(cmd, "/imports", args[0])
		},
	}
	cmd.Flags().StringVar(&n.body.Export, "from", "", "the id of an export")
	cmd.Flags().BoolVar(&n.body.AnotherStore, "another-store", false, "go on though the cluster is backed up to a store that has none of it")
	cmd.Flags().StringVar(&n.body.Neutralise, "neutralise", "none", "auto, builtin or none")
	return n.flags(cmd)
}

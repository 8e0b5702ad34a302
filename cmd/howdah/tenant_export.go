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
			"`howdah tenant exports` lists exports, and `howdah export fetch` makes a folder of it that pg_restore reads, for whoever wants the data.",
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
		rows = append(rows, []string{m.ID, m.Tenant, m.Taken.Format(time.RFC3339), strconv.Itoa(m.Server), strconv.FormatInt(m.Size, 10), strconv.FormatInt(m.Stored, 10)})
	}
	return table(cmd.OutOrStdout(), "EXPORT TENANT TAKEN SERVER BYTES STORED", rows)
}

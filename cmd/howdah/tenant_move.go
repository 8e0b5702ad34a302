package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

// moveRow is a move as the API tells it.
type moveRow struct {
	Operation *job     `json:"operation,omitempty"`
	Name      string   `json:"name"`
	From      string   `json:"from"`
	To        string   `json:"to"`
	How       string   `json:"how"`
	Why       string   `json:"why"`
	HeldFor   float64  `json:"held_for_seconds"`
	Steps     []string `json:"steps,omitempty"`
}

func tenantMove() *cobra.Command {
	var p printer
	var to struct {
		To           string `json:"to"`
		How          string `json:"how"`
		AnotherStore bool   `json:"another_store,omitempty"`
	}
	var dry bool
	cmd := &cobra.Command{
		Use: "move NAME --to CLUSTER", Short: "Move a tenant to another cluster while its users work", Args: oneName,
		Long: "Move a tenant to another cluster while its users work.\n\n" +
			"replicate copies all rows while clients work, follows their changes, and holds clients for the end of it:\n" +
			"the last changes, sequences and large objects. The source needs wal_level = logical, and its admin_url must be\n" +
			"one by which the target's server can log in there. Whoever changes definitions meanwhile has the move undone.\n" +
			"dump holds clients while all is dumped and restored. auto is dump where that takes under a second, else replicate.\n" +
			"The old database is kept, closed, for a week.\n\n" +
			"A cluster that is backed up to another store is refused, for the tenant's data may have to stay where it is, unless\n" +
			"--another-store says that it may go there.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if to.To == "" {
				return usageError{fmt.Errorf("%s: say --to which cluster", cmd.CommandPath())}
			}
			c, err := newClient()
			if err != nil {
				return err
			}
			var row moveRow
			path := fmt.Sprintf("/tenants/%s/move?dry_run=%s", url.PathEscape(args[0]), strconv.FormatBool(dry))
			if err := c.do(cmd.Context(), http.MethodPost, path, to, &row); err != nil {
				return err
			}
			if dry {
				return p.movePlan(cmd, &row)
			}
			if !p.json && !p.noWait {
				fmt.Fprintln(cmd.ErrOrStderr(), row.says())
			}
			return p.ended(cmd, c, row.Operation.ID)
		},
	}
	f := cmd.Flags()
	f.StringVar(&to.To, "to", "", "the cluster")
	f.StringVar(&to.How, "how", "auto", "auto, replicate or dump")
	f.BoolVar(&to.AnotherStore, "another-store", false, "go on though the cluster is backed up to another store")
	f.BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	return p.jobFlags(cmd)
}

func (m *moveRow) says() string {
	return fmt.Sprintf("tenant %s moves from %s to %s by %s (%s); its clients will be held for about %.1f s", m.Name, m.From, m.To, m.How, m.Why, m.HeldFor)
}

func (p *printer) movePlan(cmd *cobra.Command, m *moveRow) error {
	if p.json {
		return object(cmd.OutOrStdout(), m)
	}
	fmt.Fprintln(cmd.OutOrStdout(), m.says())
	for i, step := range m.Steps {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%d. %s\n", i+1, step); err != nil {
			return err
		}
	}
	return nil
}

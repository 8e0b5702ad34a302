package main

import (
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

func tenantGrace() *cobra.Command {
	var p printer
	var lasts time.Duration
	cmd := &cobra.Command{
		Use: "grace NAME", Short: "Have a tenant write for a while though it is over its quota", Args: oneName,
		Long: "All of the tenant's clients may write until then. The quota and quota_exempt_users stay as they are.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			body := struct {
				For float64 `json:"for"`
			}{lasts.Seconds()}
			var t tenantRow
			if err := c.do(cmd.Context(), http.MethodPost, "/tenants/"+url.PathEscape(args[0])+"/grace", body, &t); err != nil {
				return err
			}
			return p.tenant(cmd, &t)
		},
	}
	cmd.Flags().DurationVar(&lasts, "for", time.Hour, "for how long; 0 ends it")
	return p.flags(cmd)
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// defaultConfigPath is the file of commands that take -c.
const defaultConfigPath = "howdah.toml"

func newCheckCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration file and say every mistake in it",
		Long: `Check a configuration file without starting anything.

Every mistake is said at once, as FILE:LINE: what is wrong; what to write
instead, and the exit code is 3. Certificates, keys and folders that the file
names are looked at too; servers are not contacted.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := LoadConfig(path)
			if err != nil {
				return err
			}
			if _, err := config.Snapshot(); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			for _, n := range config.Notes {
				fmt.Fprintln(out, "note: "+n.describe(path))
			}
			_, err = fmt.Fprintf(out, "%s is fine: %d clusters, %d tiers, %d tenants, %d users\n",
				path, len(config.Clusters), len(config.Tiers), len(config.Tenants), len(config.Users))
			return err
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", defaultConfigPath, "configuration `file`")
	return cmd
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"howdah/backup/store"
)

func newBackupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup", Short: "Base backups of clusters, and the store that they are in", Args: knownSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(backupInit(), backupNow(), backupList(), backupExpire(), backupHold(), backupVerify(), backupDrill())
	return cmd
}

// makeStore makes the store unless there is one, and says where it is.
func (c *Config) makeStore() (where string, err error) {
	if c.Backup.bucket != nil {
		return c.Backup.bucket.tryOut()
	}
	folder, err := storeFolder(c.Backup.Store)
	if err == nil {
		err = store.MakeDir(folder)
	}
	if err == nil {
		_, err = c.openStore()
	}
	return folder, err
}

func backupInit() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "init", Short: "Make an empty store where [backup] store says, unless there is one", Args: noArgs,
		Long: "Make an empty store where [backup] store says. A store that is there stays as it is. A bucket is not made: it is\n" +
			"tried whether it is there and does what Howdah needs.\n\n" +
			"Howdah never does that by itself: a disk that is not mounted must not pass for a store without objects.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := LoadConfig(path)
			if err != nil {
				return err
			}
			if config.Backup.Store == "" {
				return fmt.Errorf("%s has no store: give [backup] store", path)
			}
			where, err := config.makeStore()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "there is a store in %s\n", where)
			return err
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", defaultConfigPath, "configuration `file`")
	return cmd
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"howdah/backup/store"
)

func newBackupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup", Short: "Make the store in which exports are kept", Args: knownSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(backupInit())
	return cmd
}

func backupInit() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "init", Short: "Make an empty store where [backup] store says, unless there is one", Args: noArgs,
		Long: "Make an empty store where [backup] store says. A store that is there stays as it is.\n\n" +
			"Howdah never does that by itself: a disk that is not mounted must not pass for a store without objects.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := LoadConfig(path)
			if err != nil {
				return err
			}
			if config.Backup.Store == "" {
				return fmt.Errorf("%s has no store: give [backup] store", path)
			}
			folder, err := storeFolder(config.Backup.Store)
			if err == nil {
				err = store.MakeDir(folder)
			}
			if err != nil {
				return err
			}
			if _, err := config.exportPlace(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "there is a store in %s\n", folder)
			return err
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", defaultConfigPath, "configuration `file`")
	return cmd
}

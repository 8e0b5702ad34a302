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

// make makes the store unless there is one, and says where it is.
func (s *Store) make() (where string, err error) {
	if s.bucket != nil {
		return s.bucket.tryOut()
	}
	folder, err := storeFolder(s.URL)
	if err == nil {
		err = store.MakeDir(folder)
	}
	if err == nil {
		_, err = s.open()
	}
	return folder, err
}

func backupInit() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "init", Short: "Make an empty store where [backup] and [[store]] say, unless there is one", Args: noArgs,
		Long: "Make an empty store where [backup] and each [[store]] say. A store that is there stays as it is. A bucket is not made: it is\n" +
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
			for _, s := range config.stores() {
				where, err := s.make()
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "there is a store in %s\n", where)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", defaultConfigPath, "configuration `file`")
	return cmd
}

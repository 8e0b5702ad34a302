package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"howdah/backup/wal"
)

func newWALCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "wal", Short: "Give PostgreSQL WAL that is in the store", Args: knownSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(walArchiveGet())
	return cmd
}

func walArchiveGet() *cobra.Command {
	var f clusterFlag
	var socket string
	cmd := &cobra.Command{
		Use: "archive-get FILE PATH", Short: "Fetch a file of WAL, for restore_command", Args: cobra.ExactArgs(2),
		Long: "Fetch a file of WAL from the store, decrypted, for PostgreSQL's restore_command:\n\n" +
			"  restore_command = 'howdah wal archive-get -c /etc/howdah.toml --cluster main %f %p'\n\n" +
			"It exits with 1 where there is no such file, which ends a recovery, and with 200 for anything else, which has\n" +
			"PostgreSQL stop.",
		RunE: func(cmd *cobra.Command, args []string) error {
			exit, err := 0, error(nil)
			if socket != "" {
				exit, err = wal.Get(socket, args[0], args[1])
			} else {
				exit, err = f.archiveGet(cmd, args[0], args[1])
			}
			if exit == wal.ExitDone {
				return err
			}
			return exitError{exit, err}
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&socket, "socket", "", "ask who listens on a Unix `socket`, in place of the store")
	return cmd
}

// archiveGet fetches a file from the store itself.
func (f *clusterFlag) archiveGet(cmd *cobra.Command, name, path string) (exit int, err error) {
	_, r, err := f.open(cmd)
	if err != nil {
		return wal.ExitTrouble, err
	}
	contents, err := wal.List(cmd.Context(), r)
	if err != nil {
		return wal.ExitTrouble, err
	}
	err = writeWhole(path, func(into io.Writer) error { return contents.Fetch(cmd.Context(), r, name, into) })
	switch {
	case errors.Is(err, wal.ErrAbsent):
		return wal.ExitAbsent, nil
	case err != nil:
		return wal.ExitTrouble, err
	}
	return wal.ExitDone, nil
}

// writeWhole writes a file that is there whole, and on its disk, or not at all.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".howdah-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

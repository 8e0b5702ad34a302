package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"howdah/backup/wal"
)

func newWALCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "wal", Short: "Take WAL from PostgreSQL into the store, and give it back", Args: knownSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(walArchivePush(), walArchiveGet())
	return cmd
}

func walArchiveGet() *cobra.Command {
	var f clusterFlag
	var socket string
	cmd := &cobra.Command{
		Use: "archive-get FILE PATH", Short: "Fetch a file of WAL, for restore_command",
		Args: func(cmd *cobra.Command, args []string) error { return notAbsent(cobra.ExactArgs(2)(cmd, args)) },
		Long: "Fetch a file of WAL from the store, decrypted, for PostgreSQL's restore_command:\n\n" +
			"  restore_command = 'howdah wal archive-get --socket /run/howdah/wal --cluster main %f %p'\n\n" +
			"A running Howdah that has this wal_socket reads the store then, and fetches segments before they are asked for. Without\n" +
			"one, who runs the server must be able to read the configuration, the store and the identity:\n\n" +
			"  restore_command = 'howdah wal archive-get -c /etc/howdah.toml --cluster main %f %p'\n\n" +
			"It exits with 1 where there is no such file, which ends a recovery, and with 200 for anything else, which has\n" +
			"PostgreSQL stop.",
		RunE: func(cmd *cobra.Command, args []string) error {
			debug.SetTraceback("crash") // a panic's exit code, 2, would say that there is no such file
			exit, err := 0, error(nil)
			switch {
			case socket != "" && f.cluster != "":
				exit, err = wal.GetOf(socket, f.cluster, args[0], args[1])
			case socket != "": // of a restore of ours, which has one cluster only
				exit, err = wal.Get(socket, args[0], args[1])
			default:
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
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return notAbsent(err) })
	return cmd
}

// notAbsent gives a restore_command that is written wrong an exit code that PostgreSQL does
// not take for the end of the WAL.
func notAbsent(err error) error {
	if err == nil {
		return nil
	}
	return exitError{wal.ExitTrouble, usageError{err}}
}

func walArchivePush() *cobra.Command {
	f := clusterFlag{writes: true}
	var socket string
	cmd := &cobra.Command{
		Use: "archive-push PATH", Short: "Store a file of WAL, for archive_command", Args: cobra.ExactArgs(1),
		Long: "Store a file of pg_wal, compressed and encrypted, for PostgreSQL's archive_command:\n\n" +
			"  archive_command = 'howdah wal archive-push --socket /run/howdah/wal --cluster main %p'\n\n" +
			"A running Howdah that has this wal_socket stores it. Without one, who runs the server must be able to read the\n" +
			"configuration and to write to the store:\n\n" +
			"  archive_command = 'howdah wal archive-push -c /etc/howdah.toml --cluster main %p'\n\n" +
			"It exits with 0 when the file is durable in the store, and with another code if it is not, or if that is not known:\n" +
			"PostgreSQL tries again then. A file that is stored already is no error if it has the same contents; one with other\n" +
			"contents, of another cluster, or cut off, is refused. Beside a replication_url it is not needed, and does no harm.\n" +
			"Without one a restore can go to an LSN, a transaction or the end, and to no time: nobody has noted when what was\n" +
			"committed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if socket != "" && f.cluster == "" {
				return usageError{errors.New("howdah wal archive-push: say with --cluster whose WAL it is")}
			}
			return f.archivePush(cmd, socket, args[0])
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&socket, "socket", "", "have it stored by who listens on a Unix `socket`")
	return cmd
}

// archivePush stores a file, and in front of it the history of its timeline: that may have
// been archived elsewhere, before this was the archive_command.
func (f *clusterFlag) archivePush(cmd *cobra.Command, socket, path string) error {
	push := func(a wal.Archived, data io.ReaderAt) error { return wal.PushTo(socket, f.cluster, a, data) }
	if socket == "" {
		_, r, err := f.open(cmd)
		if err != nil {
			return err
		}
		archive := &wal.Archive{Repo: r}
		push = func(a wal.Archived, data io.ReaderAt) error { return archive.Push(cmd.Context(), a, data) }
	}
	paths := []string{path}
	if history := wal.HistoryBeside(path); history != "" {
		paths = []string{history, path}
	}
	for _, path := range paths {
		file, a, err := wal.OpenArchived(path)
		if err != nil {
			return err
		}
		err = push(a, file)
		file.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// archiveGet fetches a file from the store itself.
func (f *clusterFlag) archiveGet(cmd *cobra.Command, name, path string) (exit int, err error) {
	_, r, err := f.open(cmd)
	if err != nil {
		return wal.ExitTrouble, err
	}
	err = writeWhole(path, func(into io.Writer) error { return wal.Fetch(cmd.Context(), r, name, into) })
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

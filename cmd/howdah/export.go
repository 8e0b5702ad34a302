package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"howdah/backup/export"
	"howdah/backup/store"
	"howdah/provision"
	"howdah/provision/dump"
)

// newExportCommand has what is done with exports that are there. It needs the file and the
// store, and neither a daemon nor a catalog.
func newExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export", Short: "Look at exports of tenants, and fetch them", Args: knownSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Long: "What is done with exports that are in the store already. The configuration file says where that is, and with what\n" +
			"key they are opened; no running Howdah is needed. `howdah tenant export` makes one, `howdah tenant import` makes a\n" +
			"tenant of one. Where there is a catalog, what is added and removed is noted in its audit log before it is done.",
	}
	cmd.AddCommand(exportList(), exportAdd(), exportVerify(), exportFetch(), exportRemove())
	return cmd
}

// atStore is a command that works on the store of a configuration file.
func atStore(p *printer, cmd *cobra.Command, do func(cmd *cobra.Command, at *exportStore, args []string) error) *cobra.Command {
	return withStore(p, cmd, (*Store).open, do)
}

// fromStore is one that only reads it.
func fromStore(p *printer, cmd *cobra.Command, do func(cmd *cobra.Command, at *exportStore, args []string) error) *cobra.Command {
	return withStore(p, cmd, (*Store).openToRead, do)
}

func withStore(p *printer, cmd *cobra.Command, open func(*Store) (store.Store, error), do func(cmd *cobra.Command, at *exportStore, args []string) error) *cobra.Command {
	path := cmd.Flags().StringP("config", "c", defaultConfigPath, "configuration `file`")
	name := cmd.Flags().String("store", "", "the `name` of the [[store]] that is meant, or default for that of [backup]; the exports of all are looked through")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		config, err := LoadConfig(*path)
		if err != nil {
			return err
		}
		at, err := config.exportStore(*name, open)
		if err == nil && len(args) == 1 {
			err = at.find(cmd.Context(), args[0])
		}
		if err != nil {
			return err
		}
		return notThere(do(cmd, at, args))
	}
	return p.flags(cmd)
}

// notThere gives what is not in the store the exit code of that.
func notThere(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errors.Join(err, errNotFound)
	}
	return err
}

func exportList() *cobra.Command {
	var p printer
	tenant := ""
	cmd := &cobra.Command{Use: "list", Short: "List exports, the newest first", Args: noArgs}
	cmd.Flags().StringVar(&tenant, "tenant", "", "only those of a tenant")
	return fromStore(&p, cmd, func(cmd *cobra.Command, at *exportStore, _ []string) error {
		all, err := export.ListAll(cmd.Context(), at.all, tenant)
		return errors.Join(p.listed(cmd, all), err, at.away)
	})
}

func (p *printer) listed(cmd *cobra.Command, all []export.Listed) error {
	told, rows := []export.Listed{}, [][]string{}
	for _, m := range all {
		m.Parts = nil
		held := ""
		if m.Held != nil {
			held = cmp.Or(m.Held.Reason, "held")
		}
		told = append(told, m)
		rows = append(rows, append(exportColumns(&m.Manifest), held))
	}
	if p.json {
		return object(cmd.OutOrStdout(), told)
	}
	return table(cmd.OutOrStdout(), "EXPORT TENANT TAKEN SERVER BYTES STORED HELD", rows)
}

func exportVerify() *cobra.Command {
	var p printer
	cmd := &cobra.Command{
		Use: "verify EXPORT", Short: "Read an export again, and check that it is as it was stored", Args: oneName,
		Long: "Read all objects of an export and compare them with their sums. No key is needed for that.",
	}
	return fromStore(&p, cmd, func(cmd *cobra.Command, at *exportStore, args []string) error {
		m, err := at.Verify(cmd.Context(), args[0], nil)
		if err != nil {
			return err
		}
		if p.json {
			return p.exports(cmd, []export.Manifest{*m})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "export %s is as it was stored: %d objects, %s\n", m.ID, len(m.Parts), dump.Size(m.Stored))
		return err
	})
}

func exportFetch() *cobra.Command {
	var p printer
	into := ""
	cmd := &cobra.Command{
		Use: "fetch EXPORT --into DIR", Short: "Decrypt an export into a folder that pg_restore reads", Args: oneName,
		Long: "Decrypt an export into a new folder, for whoever wants the data. It needs identity_file.\n\n" +
			"pg_restore reads the folder, sha256sum -c SHA256SUMS checks it, howdah.json has the database's own settings.\n" +
			"What is in it is not encrypted any more.",
	}
	cmd.Flags().StringVar(&into, "into", "", "a `folder` that is not there yet, or is empty")
	return fromStore(&p, cmd, func(cmd *cobra.Command, at *exportStore, args []string) error {
		if into == "" {
			return usageError{fmt.Errorf("%s: say --into which folder", cmd.CommandPath())}
		}
		m, err := at.Manifest(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if err := fetchInto(cmd, at.Place, m, into); err != nil {
			return err
		}
		if p.json {
			return p.exports(cmd, []export.Manifest{*m})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d files, %s, in %s\n", m.Files, dump.Size(m.Size), into)
		return err
	})
}

// fetchInto fills a folder, and leaves it empty if that fails.
func fetchInto(cmd *cobra.Command, place *export.Place, m *export.Manifest, into string) error {
	if err := os.Mkdir(into, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	there, err := os.ReadDir(into)
	if err != nil {
		return fmt.Errorf("look into folder: %w", err)
	}
	if len(there) > 0 {
		return usageError{fmt.Errorf("folder %q is not empty: name one that is, or one that is not there yet", into)}
	}
	if err := dump.CheckSpace(into, m.Size); err != nil {
		return err
	}
	err = place.Fetch(cmd.Context(), m, into, nil)
	if err != nil { // what is there is good for nothing, and the tenant's
		err = errors.Join(err, os.RemoveAll(into))
	}
	return err
}

func exportRemove() *cobra.Command {
	var p printer
	cmd := &cobra.Command{Use: "remove EXPORT", Short: "Delete an export from the store", Args: oneName}
	cmd.Flags().BoolVar(&p.yes, "yes", false, "do not ask")
	return atStore(&p, cmd, func(cmd *cobra.Command, at *exportStore, args []string) error {
		if _, err := at.Manifest(cmd.Context(), args[0]); errors.Is(err, store.ErrNotFound) || errors.Is(err, export.ErrID) {
			return err
		} // one that is damaged can be removed
		if err := p.confirm(cmd, fmt.Sprintf("delete export %q for good", args[0])); err != nil {
			return err
		}
		if err := at.audit(cmd.Context(), "remove", args[0]); err != nil {
			return err
		}
		return at.Remove(cmd.Context(), args[0])
	})
}

func exportAdd() *cobra.Command {
	var p printer
	var tenant, collate, ctype string
	cmd := &cobra.Command{
		Use: "add DUMP --tenant NAME", Short: "Put a dump that was made elsewhere into the store", Args: oneName,
		Long: "Put a dump that was made elsewhere into the store as an export: a file of pg_dump --format=custom, or a folder of\n" +
			"--format=directory. `howdah tenant import` makes a tenant of it. Where there are several stores, --store says which.",
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "whose export it is to be: a `name`")
	cmd.Flags().StringVar(&collate, "collate", "C", "the collation that its database is to have")
	cmd.Flags().StringVar(&ctype, "ctype", "", "its character classes (default: the cluster's)")
	return atStore(&p, cmd, func(cmd *cobra.Command, at *exportStore, args []string) error {
		if err := provision.ValidName(tenant); err != nil {
			return usageError{fmt.Errorf("--tenant: %w", err)}
		}
		if at.several {
			return usageError{errors.New("there are several stores: say --store which is to have it, or --store default")}
		}
		d, err := dump.LookAt(args[0])
		if err != nil {
			return err
		}
		now := time.Now()
		id, err := export.NewID(tenant, now)
		if err != nil {
			return err
		}
		if err := at.audit(cmd.Context(), "add", id); err != nil {
			return err
		}
		m, err := addDump(cmd, at.Place, d, export.Manifest{
			ID: id, Tenant: tenant, Server: d.Major, Taken: now, Encoding: d.Encoding, Collate: collate, CType: ctype,
			Provider: "libc", Extensions: append([]string{}, d.Extensions...),
		})
		if err != nil {
			return err
		}
		if p.json {
			return p.exports(cmd, []export.Manifest{*m})
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), m.ID)
		return err
	})
}

// addDump stores a dump. One in custom format gets the name by which it is known as such.
func addDump(cmd *cobra.Command, place *export.Place, d *dump.Foreign, about export.Manifest) (*export.Manifest, error) {
	folder := d.Folder
	files := slices.DeleteFunc(d.Files, func(name string) bool { return name == export.SumsFile }) // of one that was fetched
	if d.Custom {
		named, err := os.MkdirTemp("", "howdah-add-")
		if err != nil {
			return nil, fmt.Errorf("make folder: %w", err)
		}
		defer os.RemoveAll(named)
		at, err := filepath.Abs(filepath.Join(folder, files[0]))
		if err == nil {
			err = os.Symlink(at, filepath.Join(named, dump.CustomFile))
		}
		if err != nil {
			return nil, fmt.Errorf("name the dump: %w", err)
		}
		folder, files = named, []string{dump.CustomFile}
	}
	return place.Put(cmd.Context(), about, folder, files, nil)
}

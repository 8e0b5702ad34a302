package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"howdah/backup/base"
	"howdah/wire/postgres"
)

// ConfigurationFolder is where, in a restored data directory, the configuration is that was
// outside of it: each file by the path that it had. No server reads it there.
const ConfigurationFolder = "howdah_configuration"

// readConfiguration reads what goes there before anything large is.
func (c *Cluster) readConfiguration(ctx context.Context, m *base.Manifest) ([]base.ConfigurationFile, error) {
	if c.NoConfiguration {
		return nil, nil
	}
	files, err := base.ReadConfiguration(ctx, c.Repo, m)
	if err != nil {
		return nil, fmt.Errorf("%w; --no-configuration restores without it", err)
	}
	return files, nil
}

// putConfiguration writes it into a folder of its own.
func (c *Cluster) putConfiguration(files []base.ConfigurationFile, m *base.Manifest) error {
	c.Configuration = ""
	if len(files) == 0 {
		return nil
	}
	data, err := os.OpenRoot(c.Dir)
	if err != nil {
		return err
	}
	defer data.Close()
	// Of a cluster that was restored before there is one already.
	name := ConfigurationFolder
	err = data.Mkdir(name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		name += "." + m.ID
		err = data.Mkdir(name, 0o700)
	}
	if err != nil {
		return err
	}
	folder, err := data.OpenRoot(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	for i := range files {
		if err := putFile(folder, &files[i]); err != nil {
			return err
		}
	}
	c.Configuration = filepath.Join(c.Dir, name)
	if err := ownAll(c.Configuration, postgres.OwnScratch); err != nil {
		return err
	}
	return syncFolder(c.Configuration)
}

// putFile writes a file below a folder, in which it stays whatever its path is.
func putFile(root *os.Root, f *base.ConfigurationFile) error {
	name := strings.TrimPrefix(f.Path, "/")
	if f.Folder {
		return root.MkdirAll(name, 0o700)
	}
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	to, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = to.Write(f.Text)
	return errors.Join(err, to.Close())
}

// syncFolder makes durable what is in a folder.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}

// plainNote is at the top of the files that a cluster starts by which has none.
const plainNote = `# Howdah has restored this cluster, in whose data directory there was no configuration: it was
# elsewhere, as Debian has it in /etc/postgresql. This is a plain one, for the server to start.
`

// makeStartable has a server start in the directory by itself, where the configuration was
// outside of it.
func (c *Cluster) makeStartable() error {
	_, err := os.Lstat(filepath.Join(c.Dir, "postgresql.conf"))
	if c.Plain = errors.Is(err, fs.ErrNotExist); !c.Plain {
		return err
	}
	prepared, err := os.ReadDir(filepath.Join(c.Dir, "pg_twophase"))
	if err != nil {
		return err
	}
	settings := ""
	if len(prepared) > 0 { // with less it does not start
		settings = fmt.Sprintf("max_prepared_transactions = %d\n", max(100, 2*len(prepared)))
	}
	if c.Configuration != "" {
		settings = "# What there was is in " + filepath.Base(c.Configuration) + ". Look it through before it is used: it may name folders\n# of the cluster that this is a copy of, its data_directory among them.\n" + settings
	}
	for name, text := range map[string]string{
		"postgresql.conf": settings,
		"pg_hba.conf":     "local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n",
		"pg_ident.conf":   "",
	} {
		if err := c.writeNew(name, plainNote+text); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a file into the data directory, unless there is one.
func (c *Cluster) writeNew(name, text string) error {
	f, err := os.OpenFile(filepath.Join(c.Dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

package base

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// Configuration is that of a server, which need not be in its data directory.
type Configuration struct {
	Files []ConfigurationFile
	// Missing says what there is beside them, or may be, and why it was not read; "" is
	// nothing. It must be fit to be read by everybody.
	Missing string
}

// ConfigurationFile is a file that a server reads when it starts, or a folder in which it
// looks for such.
type ConfigurationFile struct {
	Path string // absolute
	// Inside is where in the data directory it is, by its name; "" is outside. A link there
	// is not in what the server sends.
	Inside string
	Folder bool
	Text   []byte
}

// MostConfiguration is how many bytes of it are taken at most.
const MostConfiguration = 8 << 20

func configurationKey(r *repository.Repository, id string) string {
	return indexPrefix(r, id) + "/configuration"
}

// inside returns what may come with the data directory, by its name there.
func (c *Configuration) inside() map[string]bool {
	all := map[string]bool{}
	for i := range c.Files {
		if f := &c.Files[i]; f.Inside != "" {
			all[f.Inside] = true
		}
	}
	return all
}

// configuration has the files be stored that have not come with the data directory.
func (t *taking) configuration() error {
	if t.o.Configuration == nil {
		return nil
	}
	t.m.ConfigurationMissing = t.o.Configuration.Missing
	var files []ConfigurationFile
	for _, f := range t.o.Configuration.Files {
		if f.Inside == "" || t.absent[f.Inside] {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return nil
	}
	t.m.Configuration = &Sums{}
	o := t.begin(configurationKey(t.repo, t.m.ID), t.m.Configuration, nil)
	if err := writeConfiguration(writerFunc(o.write), files, t.m); err != nil {
		return err
	}
	return o.end()
}

// writerFunc is an io.Writer that takes all or fails.
type writerFunc func([]byte) error

func (f writerFunc) Write(p []byte) (int, error) {
	if err := f(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// writeConfiguration writes files as an archive, in which they are by their paths without
// the first slash.
func writeConfiguration(to io.Writer, files []ConfigurationFile, m *Manifest) error {
	w := tar.NewWriter(to)
	for i := range files {
		f := &files[i]
		h := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.Path, "/"), Size: int64(len(f.Text)), Mode: 0o600, ModTime: m.Started, Format: tar.FormatPAX}
		if f.Folder {
			h.Typeflag, h.Name, h.Mode = tar.TypeDir, h.Name+"/", 0o700
		}
		if err := w.WriteHeader(h); err != nil {
			return fmt.Errorf("write configuration file %q: %w", f.Path, err)
		}
		if _, err := w.Write(f.Text); err != nil {
			return err
		}
	}
	return w.Close()
}

// ReadConfiguration returns the configuration that was outside of the data directory when a
// base backup was taken, and is not in what Unpack unpacks. Their paths may not be trusted
// but for this: below any folder they stay in it.
func ReadConfiguration(ctx context.Context, r *repository.Repository, m *Manifest) ([]ConfigurationFile, error) {
	if m.Configuration == nil {
		return nil, nil
	}
	files, err := readConfiguration(ctx, r, m)
	if err != nil {
		return nil, fmt.Errorf("read the configuration in base backup %q: %w", m.ID, err)
	}
	return files, nil
}

func readConfiguration(ctx context.Context, r *repository.Repository, m *Manifest) (files []ConfigurationFile, err error) {
	in, err := open(ctx, r, configurationKey(r, m.ID), *m.Configuration)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	archive := tar.NewReader(in)
	for size := int64(0); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, damagedArchive(err)
		}
		if size += h.Size; size > MostConfiguration {
			return nil, fmt.Errorf("%w: it has more than %d bytes", store.ErrDamaged, MostConfiguration)
		}
		f, err := configurationFile(archive, h)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	_, err = io.Copy(io.Discard, in) // only then it is known to be what was stored
	return files, err
}

// damagedArchive has what the tar reader does not understand be damage, and leaves trouble
// as it is.
func damagedArchive(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	return err
}

// configurationFile reads one of the files.
func configurationFile(archive *tar.Reader, h *tar.Header) (f ConfigurationFile, err error) {
	name := strings.TrimSuffix(h.Name, "/")
	if checkName(name) != nil || !filepath.IsLocal(name) || strings.ContainsRune(name, 0) {
		return f, fmt.Errorf("%w: a configuration file is called %.120q", store.ErrDamaged, h.Name)
	}
	f.Path = "/" + name
	switch h.Typeflag {
	case tar.TypeDir:
		f.Folder = true
		return f, nil
	case tar.TypeReg:
		if f.Text, err = io.ReadAll(archive); err != nil {
			err = damagedArchive(err)
		}
		return f, err
	}
	return f, fmt.Errorf("%w: configuration file %.120q is of the kind %q", store.ErrDamaged, h.Name, h.Typeflag)
}

package base

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/wire/postgres"
)

// chainFolder is where, in the new data directory, the parts of an incremental base backup
// are while they are put together. It is a folder of its own there, so that nothing is
// anywhere else.
const chainFolder = "howdah_chain"

// oldestLinking is the oldest version whose pg_combinebackup can use what it is given
// instead of copying it.
const oldestLinking = 18

// UnpackChain is Unpack for a base backup that may have only what has changed since another
// one: it unpacks all that it is made up of, and has PostgreSQL's pg_combinebackup, of the
// path given, put them together. For that it needs the space of all of them, and that of the
// outcome.
func UnpackChain(ctx context.Context, r *repository.Repository, m *Manifest, program, dir string, o UnpackOptions) error {
	chain, err := Chain(ctx, r, m)
	if err != nil {
		return fmt.Errorf("unpack base backup %q: %w", m.ID, err)
	}
	if len(chain) == 1 {
		return Unpack(ctx, r, m, dir, o)
	}
	if program == "" {
		return fmt.Errorf("unpack base backup %q: it is made up of %d, which pg_combinebackup of PostgreSQL %d puts together: install that", m.ID, len(chain), m.Major)
	}
	c := &combining{repo: r, m: m, chain: chain, program: program, o: o}
	if err := c.prepare(dir); err != nil {
		return fmt.Errorf("unpack base backup %q: %w", m.ID, err)
	}
	defer c.close()
	if err := c.all(ctx); err != nil {
		err = fmt.Errorf("unpack base backup %q: %w", m.ID, err)
		for _, p := range c.places {
			if removeErr := p.remove(); removeErr != nil {
				err = errors.Join(err, fmt.Errorf("remove what was unpacked: %w", removeErr))
			}
		}
		return err
	}
	return nil
}

// combining is a base backup that is being put together.
type combining struct {
	repo     *repository.Repository
	m        *Manifest
	chain    []*Manifest // that which has all is the first
	program  string
	o        UnpackOptions
	places   []*place
	progress Progress
}

// prepare finds out what is to be done and whether it can be. It changes nothing.
func (c *combining) prepare(dir string) (err error) {
	if c.places, err = c.m.places(dir, c.o); err != nil {
		return err
	}
	for _, m := range c.chain {
		for i := range m.Objects {
			o := &m.Objects[i]
			if o.Database == 0 || c.o.Only == nil || c.o.Only(o.Database) {
				c.progress.Total += o.Size
				c.places[0].need += 2 * o.Size
			}
		}
	}
	for _, p := range c.places {
		if err := p.check(); err != nil {
			return err
		}
	}
	return checkSpace(c.places)
}

func (c *combining) close() {
	for _, p := range c.places {
		if p.root != nil {
			p.root.Close()
		}
	}
}

func (c *combining) path(parts ...string) string {
	return filepath.Join(append([]string{c.places[0].path, chainFolder}, parts...)...)
}

func (c *combining) all(ctx context.Context) error {
	data := c.places[0]
	if err := data.make(); err != nil {
		return err
	}
	if err := data.root.Mkdir(chainFolder, 0o700); err != nil {
		return err
	}
	for i, m := range c.chain {
		if err := c.unpack(ctx, i, m); err != nil {
			return err
		}
	}
	if err := c.makeTablespaces(); err != nil {
		return err
	}
	if err := c.combine(ctx); err != nil {
		return err
	}
	if err := c.relink(); err != nil {
		return err
	}
	return c.finish()
}

// unpack unpacks one of the chain. Its tablespaces are beside it: pg_combinebackup takes all
// that is in it.
func (c *combining) unpack(ctx context.Context, i int, m *Manifest) error {
	o := UnpackOptions{Only: c.o.Only, Parallel: c.o.Parallel, Tablespaces: map[uint32]string{}, changes: true}
	if c.o.Progress != nil {
		before := c.progress.Done
		o.Progress = func(p Progress) {
			c.progress.Done = before + p.Done
			c.o.Progress(c.progress)
		}
	}
	for _, t := range m.Tablespaces {
		o.Tablespaces[t.OID] = c.path(fmt.Sprintf("%d.%d", i, t.OID))
	}
	return Unpack(ctx, c.repo, m, c.path(fmt.Sprint(i)), o)
}

// makeTablespaces makes the folders where the tablespaces go.
func (c *combining) makeTablespaces() error {
	for _, p := range c.places[1:] {
		if filepath.Dir(p.path) == filepath.Join(c.places[0].path, TablespacesFolder) {
			if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
				return err
			}
		}
		if err := p.make(); err != nil {
			return err
		}
	}
	return nil
}

// combine runs pg_combinebackup.
func (c *combining) combine(ctx context.Context) error {
	args := []string{"--output", c.path("result"), "--manifest-checksums", fileAlgorithm, "--no-sync"}
	if c.m.Major >= oldestLinking {
		args = append(args, "--link")
	}
	equals := strings.NewReplacer("=", `\=`)
	last := len(c.chain) - 1
	for _, p := range c.places[1:] {
		from := c.path(fmt.Sprintf("%d.%d", last, p.tablespace))
		args = append(args, "--tablespace-mapping", equals.Replace(from)+"="+equals.Replace(p.path))
	}
	for i := range c.chain {
		args = append(args, c.path(fmt.Sprint(i)))
	}
	log, err := os.OpenFile(c.path("log"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(c.program, args...) //nolint:noctx // it is killed below
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = log, log, "/", postgres.CleanEnviron(os.Environ())
	child, err := postgres.StartChild(cmd, syscall.SIGKILL)
	if err != nil {
		return fmt.Errorf("run pg_combinebackup: %w", err)
	}
	select {
	case <-child.Done():
	case <-ctx.Done():
		child.Signal(syscall.SIGKILL)
		<-child.Done()
		return context.Cause(ctx)
	}
	if child.Err() != nil {
		text := make([]byte, 4<<10)
		n, _ := log.ReadAt(text, 0)
		return fmt.Errorf("pg_combinebackup: %s: %s", child.Outcome(), bytes.TrimSpace(text[:n]))
	}
	return nil
}

// relink has the outcome's tablespace_map name the places that there are now: it is the one
// of the last of the chain.
func (c *combining) relink() error {
	if len(c.places) == 1 {
		return nil
	}
	text := spacesMap(c.places[1:])
	if err := os.WriteFile(c.path("result", spacesFile), []byte(text), 0o600); err != nil {
		return err
	}
	return c.rewriteManifest(spacesEntry(text))
}

// rewriteManifest has the outcome's manifest be of the tablespace_map that there is now.
func (c *combining) rewriteManifest(spaces *serverFile) error {
	from, err := os.Open(c.path("result", manifestFile))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(c.path("manifest"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	out := &manifestWriter{w: to, sum: sha256.New(), spaces: spaces, wants: func(string) bool { return true }}
	s := &serverManifest{line: out.line}
	_, err = io.Copy(s, from)
	if err == nil {
		err = s.close()
	}
	if err == nil {
		err = out.end()
	}
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	return os.Rename(to.Name(), from.Name())
}

// finish moves the outcome to where it belongs, and makes it durable. global/pg_control gets
// its name last.
func (c *combining) finish() error {
	data := c.places[0]
	if err := os.Rename(c.path("result", controlFile), c.path("result", unfinished)); err != nil {
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	names, err := os.ReadDir(c.path("result"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Rename(c.path("result", name.Name()), filepath.Join(data.path, name.Name())); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(c.path()); err != nil {
		return err
	}
	for _, p := range slices.Backward(c.places) {
		if err := c.chown(p.path); err != nil {
			return err
		}
	}
	for _, p := range c.places {
		if err := p.sync(); err != nil {
			return err
		}
	}
	if err := data.root.Rename(unfinished, controlFile); err != nil {
		return err
	}
	return syncFolder(filepath.Join(data.path, path.Dir(controlFile)))
}

// chown gives a tree to its owner, each folder after all that is in it.
func (c *combining) chown(tree string) error {
	if c.o.Chown == nil {
		return nil
	}
	var folders []string
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			folders = append(folders, path)
			return nil
		case d.Type().IsRegular():
			return c.o.Chown(path)
		}
		return nil
	})
	for _, folder := range slices.Backward(folders) {
		if err == nil {
			err = c.o.Chown(folder)
		}
	}
	return err
}

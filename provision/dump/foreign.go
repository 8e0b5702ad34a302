package dump

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// CustomFile is what a dump in custom format is called in a scratch folder's Data: one
// that somebody else has made.
const CustomFile = "dump.custom"

// The formats, as pg_restore calls them.
const (
	custom    = "custom"
	directory = "directory"
)

// archive returns the format of the dump, and its path.
func (s *Scratch) archive() (format, path string) {
	if path := filepath.Join(s.Data(), CustomFile); isFile(path) {
		return custom, path
	}
	return directory, s.Data()
}

func isFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

// Foreign is a dump that somebody else has made.
type Foreign struct {
	Folder     string   // its files are in
	Files      []string // their names
	Custom     bool     // it is one file, in custom format
	Major      int      // the server must not be older
	Encoding   string
	Extensions []string // that its database had, without plpgsql
	Size       int64    // bytes
}

// LookAt reads what a dump is: a file in custom format, or a folder in directory format.
// What is in it is not looked at: whoever restores it does so as nobody but its owner.
func LookAt(path string) (*Foreign, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("look at dump: %w", err)
	}
	d := &Foreign{Folder: path}
	contentsAt := filepath.Join(path, contentsFile)
	if info.IsDir() {
		err = d.list()
	} else {
		d.Folder, d.Files, d.Size, d.Custom = filepath.Dir(path), []string{filepath.Base(path)}, info.Size(), true
		contentsAt = path
	}
	if err != nil {
		return nil, fmt.Errorf("look at dump %q: %w", path, err)
	}
	c, err := openContents(contentsAt, d.Custom)
	if errors.Is(err, ErrContents) {
		err = fmt.Errorf("%w: make it by pg_dump --format=custom or --format=directory", err)
	}
	if err != nil {
		return nil, fmt.Errorf("look at dump %q: %w", path, err)
	}
	d.Major, d.Encoding = max(c.server, c.program), c.encoding
	d.Extensions = slices.DeleteFunc(c.extensions, func(name string) bool { return name == "plpgsql" })
	return d, nil
}

// list lists the files of a folder, the table of contents last. Who has made the dump may
// have put links in it: those would be followed.
func (d *Foreign) list() error {
	entries, err := os.ReadDir(d.Folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return fmt.Errorf("%q in it is no file", e.Name())
		case e.Name() != contentsFile:
			d.Files = append(d.Files, e.Name())
		}
		d.Size += info.Size()
	}
	d.Files = append(d.Files, contentsFile)
	return nil
}

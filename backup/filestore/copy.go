package filestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A copy of a database has a folder of files beside those of all others. The folder goes with
// the copy only if it was made for it: a mark in it says so, which is there from its first
// moment on.
const (
	copyMark = ".howdah-copy"
	making   = ".howdah-new-"  // and the tenant's ID: a folder that is being made
	leaving  = ".howdah-gone-" // and the tenant's ID: one that is being removed
)

// mark is what is in one. A folder that somebody has renamed, or copied, is not meant by it,
// nor one of a tenant that was called so before, or is by another Howdah.
type mark struct {
	Name   string `json:"made_for"`
	Tenant string `json:"tenant"` // its ID
}

// markOf reads the mark of a folder; fs.ErrNotExist says that it has none.
func markOf(root *os.Root, name string) (m mark, err error) {
	text, err := root.ReadFile(name + "/" + copyMark)
	if err != nil {
		return m, err
	}
	if json.Unmarshal(text, &m) != nil {
		return mark{}, nil // it is of nobody
	}
	return m, nil
}

// Ours reports whether a folder of Odoo's filestores is one that is being made or removed
// here, and no database's.
func Ours(folder string) bool {
	return strings.HasPrefix(folder, making) || strings.HasPrefix(folder, leaving)
}

// errName is of a database whose name no folder can have.
var errName = errors.New("no folder can be called so")

// checkFolder says whether a folder can be called like a database.
func checkFolder(name string) error {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%w: %q", errName, name)
	}
	return nil
}

// Folder returns the path of a database's folder in the one that has one for each; it must be
// there.
func Folder(filestores, name string) (path string, err error) {
	if err := checkFolder(name); err != nil {
		return "", err
	}
	path = filepath.Join(filestores, name)
	_, err = os.Stat(path)
	return path, err
}

// MakeCopy makes the folder of a copy that is called so, the tenant with this ID, in the folder
// that has one for each database, unless there is one; and returns its path. One that was
// made for another is nobody's copy from then on: who has it is not known any more.
func MakeCopy(filestores, name, tenant string) (path string, err error) {
	if err := errors.Join(checkFolder(name), checkFolder(tenant)); err != nil {
		return "", err
	}
	path = filepath.Join(filestores, name)
	root, err := os.OpenRoot(filestores)
	if err != nil {
		return path, err
	}
	defer root.Close()
	if _, err := root.Stat(name); err == nil {
		return path, disown(root, name, mark{name, tenant})
	} else if !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	text, err := json.Marshal(mark{name, tenant})
	if err != nil {
		return path, err
	}
	if err := root.RemoveAll(making + tenant); err != nil { // who made it was killed
		return path, err
	}
	if err := makeFolder(root, making+tenant); err != nil {
		return path, err
	}
	err = markFolder(root, making+tenant, text)
	if err == nil {
		err = root.Rename(making+tenant, name)
	}
	if err != nil {
		return path, errors.Join(err, root.RemoveAll(making+tenant))
	}
	return path, nil
}

// disown removes the mark of a folder, unless it is this.
func disown(root *os.Root, name string, but mark) error {
	m, err := markOf(root, name)
	if err == nil && m != but {
		err = root.Remove(name + "/" + copyMark)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Disown has the folder of a copy that is called so stay for ever: the tenant has another name
// now, and what its folder is called is no longer known.
func Disown(filestores, name string) error {
	if err := checkFolder(name); err != nil {
		return nil //nolint:nilerr // it has none
	}
	root, err := os.OpenRoot(filestores)
	if err != nil {
		return err
	}
	defer root.Close()
	return disown(root, name, mark{})
}

// markFolder writes a mark, which Odoo must be able to read: it copies whole folders.
func markFolder(root *os.Root, name string, text []byte) error {
	folder, err := root.OpenRoot(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	info, err := folder.Stat(".")
	if err != nil {
		return err
	}
	out, err := folder.OpenFile(copyMark, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return errors.Join(err, likenessOf(info).giveFile(out), out.Close())
}

// RemoveCopy removes the folder of a copy that is called so, if MakeCopy has made it for the
// tenant with this ID, and what was left by one that was killed. It reports whether there was
// one.
func RemoveCopy(filestores, name, tenant string) (removed bool, err error) {
	if err := errors.Join(checkFolder(name), checkFolder(tenant)); err != nil {
		return false, nil //nolint:nilerr // it has none
	}
	root, err := os.OpenRoot(filestores)
	if err != nil {
		return false, err
	}
	defer root.Close()
	m, err := markOf(root, name)
	switch {
	case err == nil && m == mark{name, tenant}:
		removed = true
		if err := errors.Join(root.RemoveAll(leaving+tenant), root.Rename(name, leaving+tenant)); err != nil {
			return false, err
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	return removed, errors.Join(root.RemoveAll(making+tenant), root.RemoveAll(leaving+tenant))
}

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
	making   = ".howdah-new-"  // and the name of a folder that is being made
	leaving  = ".howdah-gone-" // and that of one that is being removed
)

// mark is what is in one. A folder that somebody has renamed, or copied, is not meant by it.
type mark struct {
	Name string `json:"made_for"`
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

// MakeCopy makes the folder of a copy that is called so, in the folder that has one for each
// database, unless there is one; and returns its path.
func MakeCopy(filestores, name string) (path string, err error) {
	if err := checkFolder(name); err != nil {
		return "", err
	}
	path = filepath.Join(filestores, name)
	root, err := os.OpenRoot(filestores)
	if err != nil {
		return path, err
	}
	defer root.Close()
	if _, err := root.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	text, err := json.Marshal(mark{name})
	if err != nil {
		return path, err
	}
	if err := root.RemoveAll(making + name); err != nil { // who made it was killed
		return path, err
	}
	if err := makeFolder(root, making+name); err != nil {
		return path, err
	}
	err = markFolder(root, making+name, text)
	if err == nil {
		err = root.Rename(making+name, name)
	}
	if err != nil {
		return path, errors.Join(err, root.RemoveAll(making+name))
	}
	return path, nil
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
	if err := folder.WriteFile(copyMark, text, 0o600); err != nil {
		return err
	}
	like := likenessOf(info)
	return like.give(folder, copyMark, like.mode&^0o111)
}

// RemoveCopy removes the folder of a copy that is called so, if MakeCopy has made it, and what
// was left by one that was killed. It reports whether there was one.
func RemoveCopy(filestores, name string) (removed bool, err error) {
	if err := checkFolder(name); err != nil {
		return false, nil //nolint:nilerr // it has none
	}
	root, err := os.OpenRoot(filestores)
	if err != nil {
		return false, err
	}
	defer root.Close()
	text, err := root.ReadFile(name + "/" + copyMark)
	var m mark
	switch {
	case err == nil && json.Unmarshal(text, &m) == nil && m.Name == name:
		removed = true
		if err := errors.Join(root.RemoveAll(leaving+name), root.Rename(name, leaving+name)); err != nil {
			return false, err
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	return removed, errors.Join(root.RemoveAll(making+name), root.RemoveAll(leaving+name))
}

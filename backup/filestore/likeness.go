package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// likeness is whose what is put into a folder is, and who may do what with it: Odoo must be
// able to read and to write there, whoever has put it there.
type likeness struct {
	uid, gid int
	mode     fs.FileMode
}

func likenessOf(info fs.FileInfo) likeness {
	l := likeness{-1, -1, info.Mode() & (fs.ModePerm | fs.ModeSetgid)}
	if of, ok := info.Sys().(*syscall.Stat_t); ok {
		l.uid, l.gid = int(of.Uid), int(of.Gid)
	}
	return l
}

// openFolder opens a folder that files are put into, and says what they are to be like. One
// that is made is like the folder that it is in, unless that is root's: then it is for its
// owner alone. Inside, it must be there, and no link that leads out of the one that it is in.
func openFolder(path string, inside bool) (*os.Root, likeness, error) {
	open := os.OpenRoot
	if inside {
		open = openInside
	} else if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := makeFolderAt(path); err != nil {
			return nil, likeness{}, err
		}
	}
	root, err := open(path)
	if err != nil {
		return nil, likeness{}, err
	}
	info, err := root.Stat(".")
	if err != nil {
		return nil, likeness{}, errors.Join(err, root.Close())
	}
	return root, likenessOf(info), nil
}

func openInside(path string) (*os.Root, error) {
	in, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return in.OpenRoot(filepath.Base(path))
}

func makeFolderAt(path string) error {
	parent := filepath.Dir(path)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	in, err := os.OpenRoot(parent)
	if err != nil {
		return err
	}
	defer in.Close()
	return makeFolder(in, filepath.Base(path))
}

// makeFolder makes a folder in one, like that.
func makeFolder(in *os.Root, name string) error {
	info, err := in.Stat(".")
	if err != nil {
		return err
	}
	if err := in.Mkdir(name, 0o700); err != nil {
		return err
	}
	like := likenessOf(info)
	if like.uid == 0 {
		return nil
	}
	if err := like.give(in, name, like.mode); err != nil {
		return errors.Join(err, in.Remove(name))
	}
	return nil
}

// give has a folder in one be like that.
func (l likeness) give(root *os.Root, name string, mode fs.FileMode) error {
	folder, err := root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer folder.Close()
	return l.giveOpen(folder, mode)
}

// giveFile has a file that is being written be like the folder that it is in: nobody may run
// it, as whomever.
func (l likeness) giveFile(file *os.File) error { return l.giveOpen(file, l.mode.Perm()&^0o111) }

// giveOpen has something be like what it is in, whatever its name means by now. Who is neither
// root nor the owner can leave it to the group, if that may do all that the owner may.
func (l likeness) giveOpen(file *os.File, mode fs.FileMode) error {
	uid := l.uid
	if uid == os.Geteuid() {
		uid = -1
	}
	err := file.Chown(uid, l.gid)
	if errors.Is(err, fs.ErrPermission) && l.mode&0o070 == 0o070 {
		err = file.Chown(-1, l.gid)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%q would not be of user %d and group %d, whose folder it is in: only root can do that, that user, or one of that group if it may write there: %w", file.Name(), l.uid, l.gid, err)
	}
	if err != nil {
		return err
	}
	return file.Chmod(mode)
}

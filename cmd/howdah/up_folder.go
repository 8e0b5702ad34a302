package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// upFolder is the folder of `howdah up`, an absolute path.
type upFolder string

func (f upFolder) path(name string) string { return filepath.Join(string(f), name) }

func (f upFolder) config() string      { return f.path("howdah.toml") }
func (f upFolder) credentials() string { return f.path("credentials") }
func (f upFolder) token() string       { return f.path("token") }
func (f upFolder) masterKey() string   { return f.path("master.key") }
func (f upFolder) identity() string    { return f.path("identity") }
func (f upFolder) store() string       { return f.path("store") }
func (f upFolder) primary() string     { return f.path("primary") }
func (f upFolder) standby() string     { return f.path("standby") }
func (f upFolder) run() string         { return f.path("run") }

// log is the log file of one of the children.
func (f upFolder) log(child string) string { return filepath.Join(f.path("log"), child+".log") }

// make makes the folder, readable by all as a way to what is inside.
func (f upFolder) make() error {
	for _, dir := range []string{string(f), f.path("log")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	return nil
}

// lock makes this process the only `howdah up` in the folder. The kernel takes
// the lock back from a process that dies.
func (f upFolder) lock() (unlock func(), err error) {
	file, err := os.OpenFile(f.path("up.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock folder: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(f.path("up.lock")) // only to say more
		return nil, errors.Join(
			fmt.Errorf("another `howdah up` (pid %s) runs in %s: stop it, or choose another folder with --dir", strings.TrimSpace(string(holder)), f),
			file.Close())
	}
	if err := errors.Join(file.Truncate(0), writeAll(file, fmt.Sprintln(os.Getpid()))); err != nil {
		return nil, errors.Join(fmt.Errorf("write lock file: %w", err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

func writeAll(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}

// writeSecret writes a file only its owner may read, whole or not at all.
func writeSecret(path, text string) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"

	"howdah/backup/export"
	"howdah/backup/store"
)

// checkBackup looks at where exports are kept, and with what keys.
func (r *configReader) checkBackup() {
	b := &r.config.Backup
	at := func(name string) []string { return []string{string(sectionBackup), name} }
	if b.ScratchDir != "" {
		b.ScratchDir = r.absolute(b.ScratchDir)
	}
	if b.Store == "" {
		for _, other := range []struct {
			name  string
			given bool
		}{{"recipients", len(b.Recipients) > 0}, {"identity_file", b.IdentityFile != ""}} {
			if other.given && !r.isWrong(at("store")) {
				r.wrong(at(other.name), "give the store too", "%s is of no use without a store", other.name)
			}
		}
		return
	}
	folder, err := storeFolder(b.Store)
	if err != nil {
		r.wrong(at("store"), `write "file:///path/of/a/folder"`, "store %q %v", b.Store, err)
	} else {
		b.Store = (&url.URL{Scheme: "file", Path: r.absolute(folder)}).String()
	}
	if len(b.Recipients) == 0 && !r.isWrong(at("recipients")) {
		r.wrong(at("store"), `write recipients = ["age1…"], the public key that age-keygen prints`, "nobody could open what is in the store: there are no recipients")
	}
	for _, recipient := range b.Recipients {
		if _, err := store.NewSealer([]string{recipient}, ""); err != nil {
			r.wrong(at("recipients"), `write the public key that age-keygen prints, "age1…"`, "recipient %.80q is no X25519 public key of age", recipient)
			return
		}
	}
	identities := r.readIdentities(at("identity_file"))
	if len(r.mistakes) == 0 {
		r.config.Sealer, _ = store.NewSealer(b.Recipients, identities) // both were looked at
	}
}

// readIdentities returns the text of identity_file.
func (r *configReader) readIdentities(at []string) string {
	b := &r.config.Backup
	if b.IdentityFile == "" || r.isWrong(at) {
		return ""
	}
	b.IdentityFile = r.absolute(b.IdentityFile)
	text, err := readIdentityFile(b.IdentityFile)
	switch {
	case errors.Is(err, errReadableIdentity):
		r.wrong(at, "chmod 600 it", "others than its owner may use identity_file %q", b.IdentityFile)
	case err != nil:
		r.wrong(at, "have age-keygen make one", "identity_file %q: %v", b.IdentityFile, err)
	}
	return text
}

var errReadableIdentity = errors.New("others than its owner may use it")

// maxIdentityFile bounds what is read of a file that may be another than is meant.
const maxIdentityFile = 64 << 10

// readIdentityFile reads private keys. Its errors do not repeat them.
func readIdentityFile(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", unwrapPath(err)
	case !info.Mode().IsRegular():
		return "", errors.New("it is no file")
	case info.Mode().Perm()&0o077 != 0:
		return "", errReadableIdentity
	case info.Size() > maxIdentityFile:
		return "", fmt.Errorf("it is longer than %d bytes", maxIdentityFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", unwrapPath(err)
	}
	if _, err := store.NewSealer(nil, string(text)); err != nil || len(text) == 0 {
		return "", errors.New("there is no X25519 identity of age in it (AGE-SECRET-KEY-1…), or something else too")
	}
	return string(text), nil
}

// storeFolder returns the folder that a store's URL means.
func storeFolder(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "":
		return "", errors.New("is no URL")
	case u.Scheme != "file":
		return "", fmt.Errorf("is of a kind, %q, that is not there yet", u.Scheme)
	case u.Host != "" && u.Host != "localhost" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", errors.New("has more than a path")
	case u.Opaque != "":
		return url.PathUnescape(u.Opaque)
	case u.Path == "" || u.Path == "/":
		return "", errors.New("has no path")
	}
	return u.Path, nil
}

// exportPlace opens where exports are kept; nil is nowhere.
func (c *Config) exportPlace() (*export.Place, error) {
	if c.Backup.Store == "" {
		return nil, nil
	}
	folder, err := storeFolder(c.Backup.Store)
	if err != nil {
		return nil, err
	}
	dir, err := store.OpenDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w; `howdah backup init` makes a new one", err)
	}
	if err != nil {
		return nil, err
	}
	return &export.Place{Store: &store.Retry{Store: dir}, Sealer: c.Sealer}, nil
}

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"howdah/backup/store"
	"howdah/tenants"
)

// checkBackup looks at where exports are kept, and with what keys.
func (r *configReader) checkBackup() {
	b := &r.config.Backup
	at := func(name string) []string { return []string{string(sectionBackup), name} }
	if b.ScratchDir != "" {
		b.ScratchDir = r.absolute(b.ScratchDir)
	}
	if b.FilestoreDir != "" {
		b.FilestoreDir = r.absolute(b.FilestoreDir)
	}
	if b.StateDir != "" {
		b.StateDir = r.absolute(b.StateDir)
	}
	if b.BaseChangesInterval > 0 && b.StateDir == "" && b.IdentityFile == "" && b.Store != "" {
		r.wrong(at("base_changes_interval"), "give state_dir, or identity_file", "no incremental base backup can be taken: PostgreSQL's manifest of the one before is kept nowhere, and the one in the store cannot be opened")
	}
	switch changes := b.BaseChangesInterval; {
	case changes > 0 && changes < time.Minute:
		r.wrong(at("base_changes_interval"), `write a minute or more, as in "1h"`, "base_changes_interval %s is shorter than a base backup takes", changes)
	case changes > 0 && b.BaseInterval == 0:
		r.wrong(at("base_changes_interval"), "give base_interval", "all base backups but the first would be incremental, and a restore would need every one of them")
	}
	if b.BaseMaxRate > 0 && b.BaseMaxRate < 32<<10 {
		r.wrong(at("base_max_rate"), "write 32kB or more, or 0 for no limit", "base_max_rate is less than PostgreSQL takes")
	}
	if b.WALInterval < 10*time.Millisecond || b.WALInterval > time.Minute {
		r.wrong(at("wal_interval"), `write 10ms to 1m, as in "1s"`, "wal_interval %s is of no use", b.WALInterval)
	}
	r.checkWALSocket(at("wal_socket"))
	if b.DrillInterval > 0 && b.IdentityFile == "" && b.Store != "" {
		r.wrong(at("drill_interval"), "give identity_file, or leave drills to another node", "what is to be restored by drills cannot be opened: there is no identity_file")
	}
	if b.Store == "" {
		for _, other := range []struct {
			name  string
			given bool
		}{{"recipients", len(b.Recipients) > 0}, {"identity_file", b.IdentityFile != ""}, {"credentials_file", b.CredentialsFile != ""}} {
			if other.given && !r.isWrong(at("store")) {
				r.wrong(at(other.name), "give the store too", "%s is of no use without a store", other.name)
			}
		}
		r.checkStores("")
		return
	}
	s := &r.config.main
	*s = Store{Name: tenants.DefaultStore, URL: b.Store, Recipients: b.Recipients, CredentialsFile: b.CredentialsFile, ReadRate: b.ReadRate, WriteRate: b.WriteRate}
	r.readStore(s, at)
	b.Store, b.CredentialsFile = s.URL, s.CredentialsFile
	identities := r.readIdentities(at("identity_file"))
	if len(b.Recipients) == 0 && !r.isWrong(at("recipients")) {
		r.wrong(at("store"), `write recipients = ["age1…"], the public key that age-keygen prints`, "nobody could open what is in the store: there are no recipients")
	}
	r.readRecipients(s, at, identities)
	r.checkStores(identities)
}

// readRecipients looks at those for whom what is put into a store is encrypted.
func (r *configReader) readRecipients(s *Store, at func(name string) []string, identities string) {
	for _, recipient := range s.Recipients {
		if _, err := store.NewSealer([]string{recipient}, ""); err != nil {
			r.wrong(at("recipients"), `write the public key that age-keygen prints, "age1…"`, "recipient %.80q is no X25519 public key of age", recipient)
			return
		}
	}
	if len(r.mistakes) == 0 {
		s.sealer, _ = store.NewSealer(s.Recipients, identities) // both were looked at
	}
}

// checkWALSocket looks at where WAL is taken in and given out.
func (r *configReader) checkWALSocket(at []string) {
	b := &r.config.Backup
	if b.WALSocket == "" {
		return
	}
	b.WALSocket = r.absolute(b.WALSocket)
	switch {
	case b.Store == "":
		r.wrong(at, "give the store too", "wal_socket is of no use without a store")
	case len(b.WALSocket) > maxSocketPath:
		r.wrong(at, "write a shorter path", "wal_socket %q is longer than the %d bytes the system takes", b.WALSocket, maxSocketPath)
	case b.WALSocket == r.config.SocketPath():
		r.wrong(at, "write another path", "wal_socket %q is where clients of the pooler connect", b.WALSocket)
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
	case errors.Is(err, errReadableKey):
		r.wrong(at, "chmod 600 it", "others than its owner may use identity_file %q", b.IdentityFile)
	case err != nil:
		r.wrong(at, "have age-keygen make one", "identity_file %q: %v", b.IdentityFile, err)
	}
	return text
}

// readIdentityFile reads private keys. Its errors do not repeat them.
func readIdentityFile(path string) (string, error) {
	text, err := readKeyFile(path)
	if err != nil {
		return "", err
	}
	if _, err := store.NewSealer(nil, text); err != nil || text == "" {
		return "", errors.New("there is no X25519 identity of age in it (AGE-SECRET-KEY-1…), or something else too")
	}
	return text, nil
}

var errReadableKey = errors.New("others than its owner may use it")

// maxKeyFile bounds what is read of a file that may be another than is meant.
const maxKeyFile = 64 << 10

// readKeyFile reads a file that is its owner's alone.
func readKeyFile(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", unwrapPath(err)
	case !info.Mode().IsRegular():
		return "", errors.New("it is no file")
	case info.Mode().Perm()&0o077 != 0:
		return "", errReadableKey
	case info.Size() > maxKeyFile:
		return "", fmt.Errorf("it is longer than %d bytes", maxKeyFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", unwrapPath(err)
	}
	return string(text), nil
}

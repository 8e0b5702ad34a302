package filestore

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// Filestore is what a repository holds of one database's files.
type Filestore struct {
	Repo     *repository.Repository
	Database string // its name, which is that of Odoo's folder
}

// sum names a file: the SHA-1 of its contents. Odoo has chosen it; what is stored has its
// own sums.
type sum [20]byte

// name is the file's in a filestore.
func (s sum) name() string {
	text := hex.EncodeToString(s[:])
	return text[:2] + "/" + text
}

var pattern = regexp.MustCompile(`^([0-9a-f]{2})/([0-9a-f]{40})$`)

// parseName reads a file's name as Odoo's ir_attachment.store_fname has it.
func parseName(name string) (s sum, ok bool) {
	parts := pattern.FindStringSubmatch(name)
	if parts == nil || !strings.HasPrefix(parts[2], parts[1]) {
		return s, false
	}
	_, err := hex.Decode(s[:], []byte(parts[2]))
	return s, err == nil
}

// key is that of something of the filestore.
func (f *Filestore) key(parts ...string) string {
	return f.Repo.Key(append([]string{"filestore", escape(f.Database)}, parts...)...)
}

func (f *Filestore) fileKey(s sum) string { return f.key("files", s.name()) }

// escape makes a part of a key of any name of a database: 63 bytes become at most 189.
func escape(name string) string {
	var text strings.Builder
	for _, b := range []byte(name) {
		switch {
		case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_', b == '-':
			text.WriteByte(b)
		default:
			fmt.Fprintf(&text, "%%%02X", b)
		}
	}
	return text.String()
}

// Synced says what the last Sync that came to its end has seen.
type Synced struct {
	Format int `json:"format"`
	// Started is when it began: all that was committed before has its files stored.
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
}

const (
	format     = 1
	syncedMost = 64 << 10 // is more than it has bytes
)

// Synced reads it; store.ErrNotFound says that there was none.
func (f *Filestore) Synced(ctx context.Context) (*Synced, error) {
	text, err := store.ReadPlain(ctx, f.Repo.Store, f.key("synced"), syncedMost)
	if err != nil {
		return nil, fmt.Errorf("read when the filestore of database %q was stored: %w", f.Database, err)
	}
	s := &Synced{}
	switch err := json.Unmarshal(text, s); {
	case err != nil || s.Started.IsZero():
		return nil, fmt.Errorf("%w: %q does not say when the filestore was stored", store.ErrDamaged, f.key("synced"))
	case s.Format > format:
		return nil, fmt.Errorf("the filestore of database %q has format %d; this Howdah reads up to %d: use a newer one", f.Database, s.Format, format)
	}
	return s, nil
}

// putSynced stores it, unless one that began later is there.
func (f *Filestore) putSynced(ctx context.Context, s Synced) error {
	there, err := f.Synced(ctx)
	switch {
	case err == nil && there.Started.After(s.Started):
		return nil
	case err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrDamaged):
		return err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return f.Repo.Store.Put(ctx, f.key("synced"), text, store.WithSum(text))
}

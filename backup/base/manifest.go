package base

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

// format is the version of the layout. A reader refuses newer ones.
const format = 1

// Manifest says what a base backup is, to whoever may read the store: it is not sealed.
type Manifest struct {
	Format  int             `json:"format"`
	ID      string          `json:"id"`
	Cluster string          `json:"cluster"`
	System  string          `json:"system_identifier"`
	Major   int             `json:"major"`            // PostgreSQL's version
	Segment replication.LSN `json:"wal_segment_size"` // bytes
	Label   string          `json:"label"`
	// The WAL that makes a cluster of the files goes from Start to Stop.
	Start Position `json:"start"`
	Stop  Position `json:"stop"`
	// Since is the id of the base backup since which this one has what has changed; "" is
	// that it has all.
	Since    string    `json:"since,omitempty"`
	Started  time.Time `json:"started"` // by the clock of who took it
	Finished time.Time `json:"finished"`

	Tablespaces []Tablespace `json:"tablespaces,omitempty"`
	// The names of the databases by their OIDs, when the backup began and when it ended.
	DatabasesAtStart map[uint32]string `json:"databases_at_start"`
	DatabasesAtEnd   map[uint32]string `json:"databases_at_end"`

	Files          int      `json:"files"`
	Size           int64    `json:"size"`   // bytes of all objects in plain
	Stored         int64    `json:"stored"` // bytes of all objects, compressed and encrypted
	Objects        []Object `json:"objects,omitempty"`
	Index          Sums     `json:"index"`           // of the list of files
	BackupManifest Sums     `json:"backup_manifest"` // of PostgreSQL's own manifest
	// Configuration is of that which was outside of the data directory; nil is that there is
	// none. ConfigurationMissing says what of it was not taken along, and why; "" is nothing.
	Configuration        *Sums  `json:"configuration,omitempty"`
	ConfigurationMissing string `json:"configuration_missing,omitempty"`
	// Abandoned is of what is no base backup: nobody may store one under this id any more.
	Abandoned bool `json:"abandoned,omitempty"`
}

// Position is where on which timeline.
type Position replication.Position

type positionText struct {
	LSN      string `json:"lsn"`
	Timeline uint32 `json:"timeline"`
}

// MarshalJSON has the LSN be written as PostgreSQL does.
func (p Position) MarshalJSON() ([]byte, error) {
	return json.Marshal(positionText{p.LSN.String(), p.Timeline})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Position) UnmarshalJSON(b []byte) (err error) {
	var text positionText
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	p.Timeline = text.Timeline
	p.LSN, err = replication.ParseLSN(text.LSN)
	return err
}

// Tablespace is one that the cluster has beside its data directory.
type Tablespace struct {
	OID      uint32 `json:"oid"`
	Location string `json:"location"` // where it was
}

// Object is a run of entries of one tar archive, all of one database or of none.
type Object struct {
	Number     int    `json:"number"`               // from 0, without gaps
	Tablespace uint32 `json:"tablespace,omitempty"` // whose archive; 0 is the data directory's
	Database   uint32 `json:"database,omitempty"`   // 0: none
	Folder     string `json:"folder,omitempty"`     // the database's in that archive
	Files      int    `json:"files"`
	Sums
}

// Sums are the sizes and sums of a sealed object.
type Sums struct {
	Size      int64  `json:"size"`             // bytes in plain
	SHA256    string `json:"sha256,omitempty"` // of that; "": what is in it has sums of its own
	Stored    int64  `json:"stored"`           // bytes of the object
	StoredSum string `json:"stored_sum"`       // SHA-256 of the object without its last 32 bytes
}

// ErrNewer is of a base backup that a newer Howdah has made.
var ErrNewer = errors.New("it is of a newer Howdah's format: update Howdah")

func (m *Manifest) encode() (text []byte, meta map[string]string, err error) {
	if text, err = json.Marshal(m); err != nil {
		return nil, nil, fmt.Errorf("write manifest: %w", err)
	}
	return text, store.WithSum(text), nil
}

// Commit stores the manifest of a base backup that was taken: from then on it is there.
// The WAL up to its stop must be durable before.
func Commit(ctx context.Context, r *repository.Repository, m *Manifest) error {
	if err := m.check(r, m.ID); err != nil {
		return fmt.Errorf("commit base backup %q: %w", m.ID, err)
	}
	if _, err := Chain(ctx, r, m); err != nil {
		return fmt.Errorf("commit base backup %q: %w", m.ID, err)
	}
	text, meta, err := m.encode()
	if err != nil {
		return err
	}
	// The sweep deletes what it has given up, and at last that it has.
	if err = m.whole(ctx, r); err == nil {
		err = r.Store.PutIfAbsent(ctx, manifestKey(r, m.ID), text, meta)
	}
	if errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrDamaged) {
		if there, look := read(ctx, r, m.ID); look == nil && there.Abandoned {
			err = errors.New("it was given up meanwhile: it took more than a day to be committed, and what it had stored is removed")
		}
	}
	if err != nil {
		return fmt.Errorf("commit base backup %q: %w", m.ID, err)
	}
	_ = r.Store.Delete(ctx, markKey(r, m.ID)) // where that fails the next Sweep does it
	return nil
}

// Read reads the manifest of a base backup; store.ErrNotFound says that there is none.
func Read(ctx context.Context, r *repository.Repository, id string) (*Manifest, error) {
	m, err := read(ctx, r, id)
	if err == nil && m.Abandoned {
		return nil, fmt.Errorf("base backup %q: %w", id, store.ErrNotFound)
	}
	return m, err
}

// read reads a manifest that may be abandoned.
func read(ctx context.Context, r *repository.Repository, id string) (*Manifest, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	m := &Manifest{}
	err := readSummed(ctx, r, manifestKey(r, id), -1, m)
	switch {
	case err == nil && m.Format > format:
		err = ErrNewer
	case err == nil:
		err = m.check(r, id)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest of base backup %q: %w", id, err)
	}
	return m, nil
}

// readSummed reads an object of JSON, of which it has the sum beside it: most bytes at the
// most, or with -1 all.
func readSummed(ctx context.Context, r *repository.Repository, key string, most int64, into any) error {
	text, err := store.ReadPlain(ctx, r.Store, key, most)
	if err == nil && json.Unmarshal(text, into) != nil {
		err = store.ErrDamaged
	}
	return err
}

// longestChain is more than anybody takes before there is a whole one again.
const longestChain = 1000

// Chain returns the base backups of which one is made up: one that has all, then those that
// have what has changed since the one before, and at last m itself.
func Chain(ctx context.Context, r *repository.Repository, m *Manifest) (chain []*Manifest, err error) {
	for chain = []*Manifest{m}; m.Since != ""; chain = append(chain, m) {
		since := m.Since
		if m, err = Read(ctx, r, since); err != nil {
			return nil, fmt.Errorf("what %q has is what changed since: %w", chain[len(chain)-1].ID, err)
		}
		if last := chain[len(chain)-1]; m.Start.LSN >= last.Start.LSN || m.System != last.System || len(chain) > longestChain {
			return nil, fmt.Errorf("%w: base backup %q cannot be since %q", store.ErrDamaged, last.ID, m.ID)
		}
	}
	slices.Reverse(chain)
	return chain, nil
}

// lists are the objects that a base backup has beside those with the data, by their keys.
func (m *Manifest) lists(r *repository.Repository) map[string]Sums {
	all := map[string]Sums{backupManifestKey(r, m.ID): m.BackupManifest, filesKey(r, m.ID): m.Index}
	if m.Configuration != nil {
		all[configurationKey(r, m.ID)] = *m.Configuration
	}
	return all
}

// VerifySize is how many bytes Verify reads, with a key or without.
func (m *Manifest) VerifySize(withKey bool) int64 {
	plain, stored := m.Size+m.Index.Size+m.BackupManifest.Size, m.Stored+m.Index.Stored+m.BackupManifest.Stored
	if m.Configuration != nil {
		plain, stored = plain+m.Configuration.Size, stored+m.Configuration.Stored
	}
	if withKey {
		return plain
	}
	return stored
}

// check says what cannot be right about a manifest.
func (m *Manifest) check(r *repository.Repository, id string) error {
	switch {
	case m.ID != id || checkID(id) != nil:
		return fmt.Errorf("%w: it is of base backup %.60q", store.ErrDamaged, m.ID)
	case m.Abandoned:
		return nil
	case m.Cluster != r.Cluster:
		return fmt.Errorf("%w: it is of cluster %q", repository.ErrForeign, m.Cluster)
	case m.Since != "" && checkID(m.Since) != nil:
		return fmt.Errorf("%w: it is since %.60q", store.ErrDamaged, m.Since)
	case m.Start.Timeline == 0 || m.Stop.Timeline == 0 || m.Stop.LSN < m.Start.LSN || len(m.Objects) == 0:
		return fmt.Errorf("%w: it does not say what the backup is", store.ErrDamaged)
	}
	for i := range m.Objects {
		if o := &m.Objects[i]; o.Number != i || o.Database != 0 && !o.folderIsItsDatabases() {
			return fmt.Errorf("%w: it has an object %d with folder %.60q", store.ErrDamaged, o.Number, o.Folder)
		}
	}
	return nil
}

func (o *Object) folderIsItsDatabases() bool {
	g := groupOf(o.Tablespace, o.Folder)
	return g.database == o.Database && g.folder == o.Folder
}

// List returns the base backups, that which began last first, as far as they can be read:
// the error tells of those that cannot.
func List(ctx context.Context, r *repository.Repository) (all []Manifest, err error) {
	var bad []error
	for info, err := range r.Store.List(ctx, manifestKey(r, "")) {
		if err != nil {
			return nil, fmt.Errorf("list base backups: %w", err)
		}
		m, err := Read(ctx, r, strings.TrimPrefix(info.Key, manifestKey(r, "")))
		switch {
		case errors.Is(err, store.ErrNotFound): // abandoned, or gone since
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			bad = append(bad, err)
		default:
			all = append(all, *m)
		}
	}
	slices.SortFunc(all, newestFirst)
	return all, errors.Join(bad...)
}

// Serious returns what there is in an error of List beside manifests that cannot be read,
// for whom the others are enough; nil is nothing.
func Serious(err error) error {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	return errors.Join(slices.DeleteFunc(slices.Clone(all), unreadable)...)
}

func unreadable(err error) bool {
	return slices.ContainsFunc([]error{store.ErrDamaged, ErrNewer, ErrID, repository.ErrForeign}, func(is error) bool { return errors.Is(err, is) })
}

// newestFirst orders by time, for positions in the WAL begin anew when a cluster does.
func newestFirst(a, b Manifest) int {
	return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(b.System, a.System), cmp.Compare(b.ID, a.ID))
}

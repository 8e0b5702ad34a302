package export

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"howdah/backup/store"
)

// format is the version of the layout. A reader refuses newer ones.
const format = 1

// Manifest says what an export is, to whoever may read the store: it is not sealed.
type Manifest struct {
	Format   int       `json:"format"`
	ID       string    `json:"id"`
	Tenant   string    `json:"tenant"`
	TenantID string    `json:"tenant_id"` // a UUID, which stays when the name changes
	Cluster  string    `json:"cluster"`
	Server   int       `json:"server"` // major version of PostgreSQL
	Taken    time.Time `json:"taken"`  // not later than the snapshot
	// What a database must have to take it.
	Encoding   string   `json:"encoding"`
	Collate    string   `json:"collate"`
	CType      string   `json:"ctype"`
	Provider   string   `json:"provider"` // of the locale: libc, icu or builtin
	Extensions []string `json:"extensions"`

	Files   int    `json:"files"`
	Size    int64  `json:"size"`   // bytes of the files
	Stored  int64  `json:"stored"` // bytes of the parts, compressed and encrypted
	Attempt string `json:"attempt"`
	Parts   []Part `json:"parts,omitempty"`
	// Abandoned is of what is no export: nobody may make one under this id any more.
	Abandoned bool `json:"abandoned,omitempty"`
}

// Part is an object that holds a piece of the archive.
type Part struct {
	Size      int64  `json:"size"`       // of the piece
	SHA256    string `json:"sha256"`     // of the piece
	Stored    int64  `json:"stored"`     // bytes of the object
	StoredSum string `json:"stored_sum"` // SHA-256 of the object without its last 32 bytes
}

// key returns the key of a part, counted from 0.
func (m *Manifest) key(part int) string {
	return fmt.Sprintf("%s%s/%s/%06d", data, m.ID, m.Attempt, part)
}

// ErrNewer is of an export that a newer Howdah has made.
var ErrNewer = errors.New("it is of a newer Howdah's format: update Howdah")

func (m *Manifest) encode() (text []byte, meta map[string]string, err error) {
	if text, err = json.Marshal(m); err != nil {
		return nil, nil, fmt.Errorf("write manifest: %w", err)
	}
	return text, store.WithSum(text), nil
}

// Manifest reads the manifest of an export; store.ErrNotFound says that there is none.
func (p *Place) Manifest(ctx context.Context, id string) (*Manifest, error) {
	m, err := p.manifest(ctx, id)
	if err == nil && m.Abandoned {
		return nil, fmt.Errorf("export %q: %w", id, store.ErrNotFound)
	}
	return m, err
}

// manifest reads one that may be abandoned.
func (p *Place) manifest(ctx context.Context, id string) (*Manifest, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	var m Manifest
	text, err := store.ReadPlain(ctx, p.Store, manifests+id, -1)
	if err != nil {
		return nil, fmt.Errorf("export %q: %w", id, err)
	}
	if json.Unmarshal(text, &m) != nil || m.ID != id {
		return nil, fmt.Errorf("read manifest of export %q: %w", id, store.ErrDamaged)
	}
	if m.Format > format {
		return nil, fmt.Errorf("export %q: %w", id, ErrNewer)
	}
	return &m, nil
}

// Listed is an export, and its hold, if there is one.
type Listed struct {
	Manifest
	Held *Hold `json:"held,omitempty"`
}

// ListAll returns the exports of a tenant, or of all (""), that are in several places, the
// newest first, as far as they can be read: the error tells of those that cannot.
func ListAll(ctx context.Context, places []*Place, tenant string) (all []Listed, err error) {
	var bad []error
	for _, p := range places {
		there, err := p.List(ctx, tenant)
		holds, holdsErr := p.Holds(ctx)
		for _, m := range there {
			held := holds[m.ID]
			if holds == nil { // nobody knows: as if it were
				held = &Hold{ID: m.ID, Reason: holdsErr.Error()}
			}
			all = append(all, Listed{m, held})
		}
		bad = append(bad, err, holdsErr)
	}
	slices.SortFunc(all, func(a, b Listed) int { return newestFirst(a.Manifest, b.Manifest) })
	return all, errors.Join(bad...)
}

func newestFirst(a, b Manifest) int { return cmp.Or(b.Taken.Compare(a.Taken), cmp.Compare(a.ID, b.ID)) }

// List returns the exports of a tenant, or of all (""), the newest first, as far as they
// can be read: the error tells of those that cannot.
func (p *Place) List(ctx context.Context, tenant string) (all []Manifest, err error) {
	prefix := manifests
	if tenant != "" {
		prefix += tenant + "."
	}
	var bad []error
	for info, err := range p.Store.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list exports: %w", err)
		}
		id := strings.TrimPrefix(info.Key, manifests)
		if tenant != "" && TenantOf(id) != tenant { // another, whose name begins so
			continue
		}
		m, err := p.Manifest(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound): // abandoned, or gone since
		case ctx.Err() != nil:
			return nil, err
		case err != nil:
			bad = append(bad, err)
		default:
			all = append(all, *m)
		}
	}
	slices.SortFunc(all, newestFirst)
	return all, errors.Join(bad...)
}

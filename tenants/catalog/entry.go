package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Kind says what an entry is of: the name of its section in howdah.toml.
type Kind string

// The kinds of entries.
const (
	Cluster Kind = "cluster"
	Tier    Kind = "tier"
	Tenant  Kind = "tenant"
	User    Kind = "user"
)

// Settings are an entry's, by their names in howdah.toml, without "name". Numbers are
// int64 or float64.
type Settings map[string]any

// UnmarshalJSON tells whole numbers from others, as TOML does.
func (s *Settings) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return err
	}
	for k, v := range m {
		m[k] = number(v)
	}
	*s = m
	return nil
}

func number(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil && !strings.ContainsAny(v.String(), ".eE") {
			return n
		}
		f, _ := v.Float64() // out of range is an infinity, which no setting takes
		return f
	case []any:
		for i := range v {
			v[i] = number(v[i])
		}
	}
	return v
}

// Text returns a setting that is a string, "" where it is not given.
func (s Settings) Text(name string) string {
	text, _ := s[name].(string)
	return text
}

// Entry is one cluster, tier, tenant or user.
type Entry struct {
	Kind     Kind      `json:"kind"`
	Name     string    `json:"name"`
	ID       string    `json:"id"` // a UUID, which stays when the name changes
	Settings Settings  `json:"settings"`
	Revision int64     `json:"revision"` // of the catalog when the entry was changed last
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
}

// Contents are what the catalog holds at one revision.
type Contents struct {
	Revision int64   `json:"revision"`
	Stamp    string  `json:"stamp"` // of the revision
	Review   string  `json:"review,omitempty"`
	Audit    Point   `json:"audit"`   // the newest
	Entries  []Entry `json:"entries"` // by kind, then by name
}

const entryColumns = "kind, name, id::text, settings, revision, created_at, changed_at"

func scanEntry(row pgx.CollectableRow) (e Entry, err error) {
	err = row.Scan(&e.Kind, &e.Name, &e.ID, &e.Settings, &e.Revision, &e.Created, &e.Changed)
	return e, err
}

// Load returns what the catalog holds now.
func (c *Catalog) Load(ctx context.Context) (*Contents, error) {
	var found Contents
	err := pgx.BeginTxFunc(ctx, c.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, "select revision, stamp::text, coalesce(review, '') from howdah.catalog").Scan(&found.Revision, &found.Stamp, &found.Review)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, headQuery).Scan(&found.Audit.Seq, &found.Audit.Hash, &found.Audit.At); err != nil {
			return err
		}
		found.Entries, err = allEntries(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	return &found, nil
}

// Contents is Load for those who only read: as long as nothing changes they get the same
// contents, which are asked for whether they are the newest. Their Audit may be older.
func (c *Catalog) Contents(ctx context.Context) (*Contents, error) {
	var stamp, review string
	if err := c.pool.QueryRow(ctx, "select stamp::text, coalesce(review, '') from howdah.catalog").Scan(&stamp, &review); err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	if latest := c.latest.Load(); latest != nil && latest.Stamp == stamp && latest.Review == review {
		return latest, nil
	}
	found, err := c.Load(ctx)
	if err == nil {
		c.latest.Store(found)
	}
	return found, err
}

func allEntries(ctx context.Context, q querier) ([]Entry, error) {
	rows, err := q.Query(ctx, "select "+entryColumns+" from howdah.entry order by kind, name collate \"C\"")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanEntry)
}

// Entries returns all entries as they are in this change.
func (t *Tx) Entries() ([]Entry, error) { return allEntries(t.ctx, t.tx) }

// Entry returns one entry, or ErrNotFound.
func (c *Catalog) Entry(ctx context.Context, kind Kind, name string) (*Entry, error) {
	return oneEntry(ctx, c.pool, kind, name)
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func oneEntry(ctx context.Context, q querier, kind Kind, name string) (*Entry, error) {
	rows, err := q.Query(ctx, "select "+entryColumns+" from howdah.entry where kind = $1 and name = $2", kind, name)
	if err != nil {
		return nil, err
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEntry)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", kind, name, found(err))
	}
	return &e, nil
}

package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// channel is notified of every new revision.
const channel = "howdah_catalog"

// Actor is who changes something, and through which door.
type Actor struct {
	Name string // of the token, the console's user, or the node itself
	Door string // "http", "console", "job", "sql", "command" and the like
	From string // the address, "" for none
}

// Tx is a change that is being made.
type Tx struct {
	tx       pgx.Tx
	ctx      context.Context
	actor    Actor
	revision int64 // the one that the change makes, if it makes one
	changed  bool  // entries have been
	last     Point // of the audit log, where the change has written there
}

// Change has f change the catalog, whole or, if it returns an error, not at all.
// Changes are made one after the other.
func (c *Catalog) Change(ctx context.Context, by Actor, f func(*Tx) error) error {
	t := &Tx{ctx: ctx, actor: by}
	err := pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		t.tx = tx
		var review *string
		var held bool
		err := tx.QueryRow(ctx, "select revision + 1, review, "+inHistory(1)+" from howdah.catalog for update", c.Known().arguments()...).Scan(&t.revision, &review, &held)
		if err != nil {
			return fmt.Errorf("change catalog: %w", err)
		}
		if err := toReview(review, held); err != nil {
			return err
		}
		if err := f(t); err != nil {
			return err
		}
		return t.finish()
	})
	if err == nil {
		c.advance(t.last)
	}
	return err
}

// finish makes the new revision known.
func (t *Tx) finish() error {
	if !t.changed {
		return nil
	}
	_, err := t.tx.Exec(t.ctx, "with raised as (update howdah.catalog set revision = $1, stamp = gen_random_uuid()) select pg_notify('"+channel+"', $1::bigint::text)", t.revision)
	if err != nil {
		return fmt.Errorf("raise the catalog's revision: %w", err)
	}
	return nil
}

// Raw is the transaction, for rows that belong with the change.
func (t *Tx) Raw() pgx.Tx { return t.tx }

// QueryRow and Exec are for rows of the catalog's that have no meaning here.
func (t *Tx) QueryRow(sql string, args ...any) pgx.Row { return t.tx.QueryRow(t.ctx, sql, args...) }

// Exec is QueryRow for statements without rows.
func (t *Tx) Exec(sql string, args ...any) error {
	_, err := t.tx.Exec(t.ctx, sql, args...)
	return err
}

// Entry returns an entry as it is in this change.
func (t *Tx) Entry(kind Kind, name string) (*Entry, error) { return oneEntry(t.ctx, t.tx, kind, name) }

// Create makes an entry. id is its UUID, "" for a new one.
func (t *Tx) Create(kind Kind, name, id string, settings Settings) error {
	if settings == nil {
		settings = Settings{}
	}
	_, err := t.tx.Exec(t.ctx, "insert into howdah.entry (kind, name, id, settings, revision) values ($1, $2, coalesce(nullif($3, '')::uuid, gen_random_uuid()), $4, $5)",
		kind, name, id, settings, t.revision)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" {
		return fmt.Errorf("%s %q: %w", kind, name, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("make %s %q: %w", kind, name, err)
	}
	t.changed = true
	return t.audit("create", kind, name, nil, settings)
}

// AnyRevision is for changes whoever has changed the entry before.
const AnyRevision = -1

// Update changes an entry's settings, if it is of the revision that is expected.
func (t *Tx) Update(kind Kind, name string, expect int64, settings Settings) error {
	e, err := t.expect(kind, name, expect)
	if err != nil {
		return err
	}
	if _, err := t.tx.Exec(t.ctx, "update howdah.entry set settings = $3, revision = $4, changed_at = now() where kind = $1 and name = $2", kind, name, settings, t.revision); err != nil {
		return fmt.Errorf("change %s %q: %w", kind, name, err)
	}
	t.changed = true
	return t.audit("change", kind, name, e.Settings, settings)
}

// Rename gives an entry another name.
func (t *Tx) Rename(kind Kind, name, to string) error {
	e, err := t.Entry(kind, name)
	if err != nil {
		return err
	}
	_, err = t.tx.Exec(t.ctx, "update howdah.entry set name = $3, revision = $4, changed_at = now() where kind = $1 and name = $2", kind, name, to, t.revision)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" {
		return fmt.Errorf("%s %q: %w", kind, to, ErrExists)
	}
	if err == nil && kind == Tenant { // who may do something with it still may
		_, err = t.tx.Exec(t.ctx, "update howdah.token set tenant = $2 where tenant = $1", name, to)
	}
	if err != nil {
		return fmt.Errorf("rename %s %q: %w", kind, name, err)
	}
	t.changed = true
	return t.audit("rename", kind, to, Settings{"name": name}, e.Settings)
}

// Delete removes an entry, if it is of the revision that is expected.
func (t *Tx) Delete(kind Kind, name string, expect int64) error {
	e, err := t.expect(kind, name, expect)
	if err != nil {
		return err
	}
	if _, err := t.tx.Exec(t.ctx, "delete from howdah.entry where kind = $1 and name = $2", kind, name); err != nil {
		return fmt.Errorf("delete %s %q: %w", kind, name, err)
	}
	t.changed = true
	return t.audit("delete", kind, name, e.Settings, nil)
}

func (t *Tx) expect(kind Kind, name string, revision int64) (*Entry, error) {
	e, err := t.Entry(kind, name)
	if err != nil {
		return nil, err
	}
	if revision != AnyRevision && e.Revision != revision {
		return nil, fmt.Errorf("%s %q is of revision %d, not %d: %w", kind, name, e.Revision, revision, ErrChanged)
	}
	return e, nil
}

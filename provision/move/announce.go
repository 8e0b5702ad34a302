package move

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// note is what the comments on publication and subscription say.
type note struct {
	Fingerprint string     `json:"fingerprint"`
	Identities  []identity `json:"identities,omitempty"` // that were changed
	Patient     bool       `json:"patient,omitempty"`    // the admin has no time limits in the source's database
}

// identity is by what a table's rows were known before the move, and are meanwhile.
type identity struct {
	Table string `json:"table"` // quoted, with its schema
	Was   string `json:"was"`   // as pg_class has it
	index string // quoted; "" = all columns
}

// An index x tells rows apart if it is checked at once, and if all of its columns are sent:
// generated ones are not.
const distinctive = `indisunique AND indimmediate AND indisvalid
	AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY (indkey) AND attgenerated <> '')`

// tables are those of the tenant whose rows are replicated. Those of extensions come
// with them.
const tables = `
SELECT c.oid, format('%I.%I', nspname, relname) AS name, relreplident::text AS identity, relpersistence::text AS persistence,
	EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND ` + distinctive + `
		AND CASE relreplident WHEN 'i' THEN indisreplident ELSE indisprimary END) AS keyed
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
	AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')`

// unidentified are tables whose changes cannot be told as they are, with the index that
// can be used: the primary key or another unique one whose columns are never null.
const unidentified = `
SELECT name, identity, coalesce((
	SELECT quote_ident(i.relname) FROM pg_index x JOIN pg_class i ON i.oid = indexrelid
	WHERE indrelid = t.oid AND ` + distinctive + ` AND indpred IS NULL AND indexprs IS NULL
		AND NOT EXISTS (SELECT FROM unnest(indkey::int2[]) k JOIN pg_attribute a ON attrelid = indrelid AND attnum = k WHERE NOT attnotnull)
	ORDER BY NOT indisprimary, indnatts, i.relname LIMIT 1), '')
FROM (` + tables + `) t WHERE persistence = 'p' AND (identity = 'n' OR identity IN ('d', 'i') AND NOT keyed) ORDER BY name`

// Lock attempts: whoever waits for a table keeps everybody behind it waiting, so it is
// for less than a deadlock is looked for.
const (
	lockFor      = "300ms"
	lockAttempts = 50
	lockPause    = 200 * time.Millisecond
)

// Announce has the source tell of the tenant's changes, and notes the definitions that
// they are of.
func (m *Move) Announce(ctx context.Context) error {
	return Within(ctx, m.From, m.Database, func(conn *pgx.Conn) error {
		return patiently(ctx, func() error { return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return m.announce(ctx, tx) }) })
	})
}

// patiently tries again what could not lock a table.
func patiently(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		var e *pgconn.PgError
		if err == nil || !errors.As(err, &e) || e.Code != "55P03" || attempt == lockAttempts {
			return err
		}
		if err := sleep(ctx, lockPause); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func (m *Move) announce(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+lockFor+"'"); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, unidentified)
	if err != nil {
		return fmt.Errorf("find tables without an identity: %w", err)
	}
	changed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (i identity, err error) {
		err = row.Scan(&i.Table, &i.Was, &i.index)
		return i, err
	})
	if err != nil {
		return fmt.Errorf("find tables without an identity: %w", err)
	}
	for _, i := range changed {
		how := "FULL"
		if i.index != "" {
			how = "USING INDEX " + i.index
		}
		if _, err := tx.Exec(ctx, "ALTER TABLE ONLY "+i.Table+" REPLICA IDENTITY "+how); err != nil {
			return fmt.Errorf("have table %s tell of its changes: %w", i.Table, err)
		}
	}
	all, err := texts(ctx, tx, "SELECT 'ONLY ' || name FROM ("+tables+") t WHERE persistence = 'p' ORDER BY name")
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	create := "CREATE PUBLICATION " + quote(m.name())
	if len(all) > 0 {
		create += " FOR TABLE " + strings.Join(all, ", ")
	}
	if _, err := tx.Exec(ctx, create); err != nil {
		return fmt.Errorf("publish tables: %w", err)
	}
	patient, err := beingPatient(ctx, tx)
	if err != nil {
		return err
	}
	print, err := fingerprint(ctx, tx)
	if err != nil {
		return err
	}
	return m.remark(ctx, tx, "PUBLICATION", note{print, changed, patient})
}

// beingPatient has no time limit in this database for the admin, as whom the target copies
// tables, which may take long: the tenant may have set some for its database. An admin that
// has settings of its own here keeps them.
func beingPatient(ctx context.Context, tx pgx.Tx) (patient bool, err error) {
	var statements []string
	if statements, err = texts(ctx, tx, `SELECT format('ALTER ROLE CURRENT_USER IN DATABASE %I SET %I = 0', current_database(), name) FROM pg_settings
		WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')
		AND NOT EXISTS (SELECT FROM pg_db_role_setting WHERE setrole = current_user::regrole
			AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))`); err != nil {
		return false, fmt.Errorf("look for time limits: %w", err)
	}
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return false, fmt.Errorf("lift time limits: %w", err)
		}
	}
	return len(statements) > 0, nil
}

type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// remark writes the note on the publication or the subscription.
func (m *Move) remark(ctx context.Context, e executor, kind string, n note) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	_, err = e.Exec(ctx, "COMMENT ON "+kind+" "+quote(m.name())+" IS"+literal(string(text)))
	return err
}

// noted reads the note of the publication in this database, false if there is none.
func (m *Move) noted(ctx context.Context, q querier) (n note, found bool, err error) {
	return readNote(ctx, q, "SELECT coalesce(obj_description(oid, 'pg_publication'), '{}') FROM pg_publication WHERE pubname = $1", m.name())
}

func readNote(ctx context.Context, q querier, sql, name string) (n note, found bool, err error) {
	var text string
	err = q.QueryRow(ctx, sql, name).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return note{}, false, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &n)
	}
	if err != nil {
		err = fmt.Errorf("read what is noted of the move: %w", err)
	}
	return n, err == nil, err
}

// Unchanged is ErrDefinitions if somebody has changed definitions since Announce.
func (m *Move) Unchanged(ctx context.Context) error {
	return Within(ctx, m.From, m.Database, func(conn *pgx.Conn) error { return m.unchanged(ctx, conn) })
}

func (m *Move) unchanged(ctx context.Context, q querier) error {
	n, found, err := m.noted(ctx, q)
	switch {
	case err != nil:
		return err
	case !found: // it was dropped
		return ErrDefinitions
	}
	now, err := fingerprint(ctx, q)
	if err == nil && now != n.Fingerprint {
		err = ErrDefinitions
	}
	return err
}

// restoreIdentities puts back by what tables' rows are known.
func restoreIdentities(ctx context.Context, tx pgx.Tx, identities []identity) error {
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+lockFor+"'"); err != nil {
		return err
	}
	for _, i := range identities {
		how := "DEFAULT"
		if i.Was == "n" || i.Was == "i" { // of an index that is not there, or cannot tell rows apart here
			how = "NOTHING"
		}
		if _, err := tx.Exec(ctx, "ALTER TABLE IF EXISTS ONLY "+i.Table+" REPLICA IDENTITY "+how); err != nil {
			return fmt.Errorf("put back the identity of table %s: %w", i.Table, err)
		}
	}
	return nil
}

// TidySource leaves nothing of the move in the source's database, which has this name
// now.
func (m *Move) TidySource(ctx context.Context, database string) error {
	found, err := exists(ctx, m.From, database)
	if err != nil || !found {
		return err
	}
	return Within(ctx, m.From, database, func(conn *pgx.Conn) error {
		if err := m.dropSlots(ctx, conn); err != nil {
			return err
		}
		return patiently(ctx, func() error { return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return m.withdraw(ctx, tx) }) })
	})
}

func (m *Move) withdraw(ctx context.Context, tx pgx.Tx) error {
	n, found, err := m.noted(ctx, tx)
	if err != nil || !found {
		return err
	}
	if err := restoreIdentities(ctx, tx, n.Identities); err != nil {
		return err
	}
	if n.Patient {
		var name string
		if err := tx.QueryRow(ctx, "SELECT current_database()::text").Scan(&name); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "ALTER ROLE CURRENT_USER IN DATABASE "+quote(name)+" RESET ALL"); err != nil {
			return fmt.Errorf("put back time limits: %w", err)
		}
	}
	_, err = tx.Exec(ctx, "DROP PUBLICATION "+quote(m.name()))
	return err
}

// ourSlots are the subscription's in this database, and those with which it copied
// single tables. There are no others: Look refuses a database that has some.
const ourSlots = "database = current_database() AND plugin = 'pgoutput' AND (slot_name = $1 OR slot_name ~ '^pg_[0-9]+_sync_[0-9]+_[0-9]+$')"

// slotsWithin is how long a slot may take to be free.
const slotsWithin = 20 * time.Second

// dropSlots ends what keeps WAL for the move.
func (m *Move) dropSlots(ctx context.Context, conn *pgx.Conn) error {
	for end := time.Now().Add(slotsWithin); ; {
		if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND "+ourSlots, m.name()); err != nil {
			return fmt.Errorf("free replication slots: %w", err)
		}
		_, err := conn.Exec(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active AND "+ourSlots, m.name())
		var e *pgconn.PgError
		if err != nil && !(errors.As(err, &e) && (e.Code == "55006" || e.Code == "42704")) { // in use again, or gone
			return fmt.Errorf("drop replication slots: %w", err)
		}
		var left int
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_replication_slots WHERE "+ourSlots, m.name()).Scan(&left); err != nil || left == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d replication slots do not become free", left)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

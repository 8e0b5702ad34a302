package move

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"howdah/provision/dump"
)

// Define makes what the source's database has in the empty one, without any rows, as the
// tenant's role, which has this password meanwhile.
func (m *Move) Define(ctx context.Context, password string) error {
	scratch, err := dump.MakeScratch(m.Scratch, 0)
	if err != nil {
		return err
	}
	out := dump.Out{Tools: m.Tools, From: m.From.In(m.Database), Jobs: 1, SchemaOnly: true}
	_, err = dump.Dump(ctx, out, scratch)
	if err == nil {
		into := m.To.In(m.filled()).As(m.Role, password)
		err = dump.Restore(ctx, dump.In{Tools: m.Tools, Into: into, Jobs: 1, Privileges: true}, scratch)
	}
	if errors.Is(err, dump.ErrContents) {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return errors.Join(err, scratch.Remove())
}

// Subscribe has the target copy all rows, and follow their changes.
func (m *Move) Subscribe(ctx context.Context) error {
	var n note
	err := Within(ctx, m.From, m.Database, func(conn *pgx.Conn) (err error) {
		n, _, err = m.noted(ctx, conn)
		return err
	})
	if err != nil {
		return err
	}
	return Within(ctx, m.To, m.filled(), func(conn *pgx.Conn) error {
		options := "slot_name = " + quote(m.name())
		if version(conn) >= 140000 {
			options += ", streaming = off" // or what was applied could not be told by what was received
		}
		_, err := conn.Exec(ctx, "CREATE SUBSCRIPTION "+quote(m.name())+" CONNECTION"+literal(m.source().String())+
			" PUBLICATION "+quote(m.name())+" WITH ("+options+")")
		if err != nil {
			return m.notReached(err)
		}
		return m.remark(ctx, conn, "SUBSCRIPTION", n)
	})
}

// source is how the target's server logs in to the source, which knows it by its name.
func (m *Move) source() dump.Login {
	login := m.From.In(m.Database).With("connect_timeout", "10").With("application_name", m.name())
	maps.DeleteFunc(login, func(name, _ string) bool { // pgx's own
		return strings.HasPrefix(name, "pool_") || strings.HasSuffix(name, "_cache_capacity") || name == "default_query_exec_mode"
	})
	return login
}

// notReached says what is wrong where the target cannot log in to the source.
func (m *Move) notReached(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return fmt.Errorf("subscribe to the source: %w", err)
	}
	text := e.Message
	if password := m.From["password"]; password != "" {
		text = strings.ReplaceAll(text, password, "…")
	}
	if e.Code == "08006" || e.Code == "08001" {
		return fmt.Errorf("the target's server cannot log in to the source as its admin_url says, which it must for a move: %s", text)
	}
	return fmt.Errorf("subscribe to the source: %s (SQLSTATE %s)", text, e.Code)
}

// Subscribed reports whether the target follows the source, and whether the database is
// there at all into which it does.
func (m *Move) Subscribed(ctx context.Context) (subscribed bool, err error) {
	found, err := exists(ctx, m.To, m.filled())
	if err != nil || !found {
		return false, err
	}
	err = Within(ctx, m.To, m.filled(), func(conn *pgx.Conn) error {
		_, subscribed, err = m.notedThere(ctx, conn)
		return err
	})
	return subscribed, err
}

// notedThere reads the note of the subscription in this database, false if it has none.
func (m *Move) notedThere(ctx context.Context, q querier) (n note, found bool, err error) {
	const sql = `SELECT obj_description(oid, 'pg_subscription') FROM pg_subscription WHERE subname = $1
		AND obj_description(oid, 'pg_subscription') IS NOT NULL AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`
	return readNote(ctx, q, sql, m.name())
}

// GoOn has the target follow the source again, where a cut-over was broken off.
func (m *Move) GoOn(ctx context.Context) error {
	return Within(ctx, m.To, m.filled(), func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "ALTER SUBSCRIPTION "+quote(m.name())+" ENABLE")
		return err
	})
}

// Progress is how far the target is.
type Progress struct {
	Tables, Copied int
	Bytes          int64 // that the target's database has
	Lag            int64 // bytes of WAL that it has not applied yet; -1 while it is not connected
}

// maxFailures is how often the target may fail to apply changes: it tries again by itself.
const maxFailures = 5

// Progress says how far the target is, and is ErrRefused if it does not get further.
func (m *Move) Progress(ctx context.Context) (p Progress, err error) {
	err = Within(ctx, m.To, m.filled(), func(conn *pgx.Conn) error {
		failures := "0"
		if version(conn) >= 150000 {
			failures = "coalesce((SELECT sum(apply_error_count + sync_error_count) FROM pg_stat_subscription_stats WHERE subname = $1), 0)::int"
		}
		var failed int
		err := conn.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE srsubstate IN ('s', 'r')), pg_database_size(current_database()), `+failures+`
			FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = srsubid WHERE subname = $1`, m.name()).Scan(&p.Tables, &p.Copied, &p.Bytes, &failed)
		if err == nil && failed >= maxFailures {
			err = refused("the target has failed %d times to copy or apply rows: %s", failed, whyFailed(ctx, conn))
		}
		return err
	})
	if err != nil {
		return p, err
	}
	err = Within(ctx, m.From, "", func(conn *pgx.Conn) error {
		var lost bool
		err := conn.QueryRow(ctx, `SELECT coalesce((SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) FROM pg_stat_replication
			WHERE application_name = $1 AND state = 'streaming'), -1)::int8,
			EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1 AND wal_status = 'lost')`, m.name()).Scan(&p.Lag, &lost)
		if err == nil && lost {
			err = refused("the source has not kept the changes that the target has yet to apply: raise its max_slot_wal_keep_size")
		}
		return err
	})
	return p, err
}

// whyFailed says why rows cannot be applied, as far as that is known here. The server tells
// its log alone; but that its disk is full, whoever writes finds out.
func whyFailed(ctx context.Context, conn *pgx.Conn) string {
	_, err := conn.Exec(ctx, "CREATE TEMPORARY TABLE attempt AS SELECT md5(i::text) FROM generate_series(1, 20000) i")
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == "53100" { // disk_full
		return "its server has no space left on its disk, and needs more: " + e.Message
	}
	return "its server's log says why"
}

// Ready makes what is only at the target: contents of materialized views, and what the
// planner goes by.
func (m *Move) Ready(ctx context.Context, password string) error {
	conn, err := pgx.Connect(ctx, m.To.In(m.filled()).As(m.Role, password).String())
	if err != nil {
		return fmt.Errorf("log in as role %q: %w", m.Role, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	views, err := texts(ctx, conn, `SELECT format('REFRESH MATERIALIZED VIEW %I.%I', nspname, relname)
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace WHERE relkind = 'm' ORDER BY c.oid`)
	if err != nil {
		return fmt.Errorf("list materialized views: %w", err)
	}
	analyze, err := texts(ctx, conn, `SELECT 'ANALYZE ' || string_agg(format('%I.%I', nspname, relname), ', ')
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
		WHERE relkind IN ('r', 'p', 'm') AND relowner = current_user::regrole HAVING count(*) > 0`)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, sql := range slices.Concat([]string{"SET statement_timeout = 0"}, views, analyze) {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("make the target ready: %w", err)
		}
	}
	return nil
}

// TidyTarget leaves nothing of the move in the target's database, which has this name
// now.
func (m *Move) TidyTarget(ctx context.Context, database string) error {
	follows, err := m.follows(ctx, database)
	if err != nil || !follows {
		return err
	}
	return Within(ctx, m.To, database, func(conn *pgx.Conn) error {
		n, found, err := m.notedThere(ctx, conn)
		if err != nil {
			return err
		}
		if found {
			err := patiently(ctx, func() error {
				return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return restoreIdentities(ctx, tx, n.Identities) })
			})
			if err != nil {
				return err
			}
		}
		return m.unsubscribe(ctx, conn)
	})
}

// follows reports whether a database of the target's has the subscription. It is asked from
// another one: on a full disk nobody may be able to log in to a new one.
func (m *Move) follows(ctx context.Context, database string) (follows bool, err error) {
	err = Within(ctx, m.To, "", func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE subname = $1 AND datname = $2)", m.name(), database).Scan(&follows)
	})
	return follows, err
}

// unsubscribe ends the subscription, and leaves its slots for TidySource: the source may
// let nobody in.
func (m *Move) unsubscribe(ctx context.Context, conn *pgx.Conn) error {
	for _, sql := range []string{"ALTER SUBSCRIPTION %s DISABLE", "ALTER SUBSCRIPTION %s SET (slot_name = NONE)", "DROP SUBSCRIPTION %s"} {
		if _, err := conn.Exec(ctx, fmt.Sprintf(sql, quote(m.name()))); err != nil {
			return fmt.Errorf("end the subscription: %w", err)
		}
	}
	return nil
}

package move

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Large objects are carried while clients are held: few, or none.
const (
	maxLarge      = 1000
	maxLargeBytes = 32 << 20
)

// sequence is what one of them has come to.
type sequence struct {
	name   string // quoted, with its schema
	last   int64
	called bool
}

// carrySequences sets the target's sequences to where the source's are.
func carrySequences(ctx context.Context, from, to *pgx.Conn) error {
	names, err := texts(ctx, from, `SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
		WHERE relkind = 'S' AND relpersistence <> 't' ORDER BY 1`)
	if err != nil {
		return fmt.Errorf("list sequences: %w", err)
	}
	all := make([]sequence, len(names))
	var read, write pgx.Batch
	for i, name := range names {
		all[i].name = name
		read.Queue("SELECT last_value, is_called FROM " + name).QueryRow(func(row pgx.Row) error { return row.Scan(&all[i].last, &all[i].called) })
	}
	if err := from.SendBatch(ctx, &read).Close(); err != nil {
		return fmt.Errorf("read sequences: %w", err)
	}
	for _, s := range all {
		write.Queue("SELECT setval($1::text::regclass, $2, $3)", s.name, s.last, s.called)
	}
	if err := to.SendBatch(ctx, &write).Close(); err != nil {
		return fmt.Errorf("set sequences: %w", err)
	}
	return nil
}

// carryLarge copies large objects, in place of those that an attempt before has copied.
func carryLarge(ctx context.Context, from, to *pgx.Conn, role string) error {
	var count int
	if err := from.QueryRow(ctx, "SELECT count(*) FROM pg_largeobject_metadata").Scan(&count); err != nil || count == 0 {
		return err
	}
	if count > maxLarge {
		return refused("it has %d large objects by now, and %d are the most", count, maxLarge)
	}
	return pgx.BeginFunc(ctx, to, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT lo_unlink(oid) FROM pg_largeobject_metadata"); err != nil {
			return fmt.Errorf("copy large objects: %w", err)
		}
		rows, err := from.Query(ctx, "SELECT oid, lo_get(oid) FROM pg_largeobject_metadata")
		if err != nil {
			return fmt.Errorf("read large objects: %w", err)
		}
		defer rows.Close()
		var total int
		for rows.Next() {
			var oid uint32
			var data []byte
			if err := rows.Scan(&oid, &data); err != nil {
				return fmt.Errorf("read large objects: %w", err)
			}
			if total += len(data); total > maxLargeBytes {
				return refused("its large objects have more than %d MB by now", maxLargeBytes>>20)
			}
			if _, err := tx.Exec(ctx, "SELECT lo_from_bytea($1, $2)", oid, data); err != nil {
				return fmt.Errorf("copy large objects: %w", err)
			}
			if _, err := tx.Exec(ctx, fmt.Sprintf("ALTER LARGE OBJECT %d OWNER TO %s", oid, quote(role))); err != nil {
				return fmt.Errorf("copy large objects: %w", err)
			}
		}
		return rows.Err()
	})
}

// comparedBytes is how much of the tables is counted while clients are held, the smallest
// first.
const comparedBytes = 16 << 20

// compare counts rows at both sides: a difference is a defect, and the move is not made.
func compare(ctx context.Context, from, to *pgx.Conn) error {
	names, err := texts(ctx, from, `SELECT name FROM (SELECT name, sum(pg_relation_size(oid)) OVER (ORDER BY pg_relation_size(oid), oid) AS bytes
		FROM (`+tables+`) t WHERE persistence = 'p') sized WHERE bytes <= $1 ORDER BY name`, int64(comparedBytes))
	if err != nil || len(names) == 0 {
		return err
	}
	counts := make([]string, len(names))
	for i, name := range names {
		counts[i] = "(SELECT count(*) FROM ONLY " + name + ")"
	}
	sql := "SELECT ARRAY[" + strings.Join(counts, ",") + "]"
	var here, there []int64
	if err := from.QueryRow(ctx, sql).Scan(&here); err != nil {
		return fmt.Errorf("count the source's rows: %w", err)
	}
	if err := to.QueryRow(ctx, sql).Scan(&there); err != nil {
		return fmt.Errorf("count the target's rows: %w", err)
	}
	for i := range names {
		if here[i] != there[i] {
			return refused("table %s has %d rows at the source and %d at the target", names[i], here[i], there[i])
		}
	}
	return nil
}

package provision

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Shelf is what a cluster has of databases made in advance. They stand for nothing but
// themselves: what it holds is all that is known of them.
type Shelf struct {
	Ready      []Warm // of the content that was asked for
	Unfinished []Warm // are being made, or were when whoever made them ended
	Stale      []Warm // of other content: no Create that is like it will take them
}

// NewWarm returns what makes a database in advance under an id of its own.
func NewWarm(id string, content Content) Warm {
	return Warm{ID: id, JobID: warmJob + id, Content: content}
}

// warmJob begins the ids of jobs that make databases in advance.
const warmJob = "warm-"

// LookAtShelf reads what the cluster has of that content. conn is as for Observe.
func LookAtShelf(ctx context.Context, conn *pgx.Conn, content Content) (Shelf, error) {
	var shelf Shelf
	rows, err := conn.Query(ctx, `SELECT datname::text, coalesce(pg_catalog.shobj_description(oid, 'pg_database'), '')
		FROM pg_catalog.pg_database WHERE pg_catalog.pg_get_userbyid(datdba) OPERATOR(pg_catalog.=) current_user
		AND (pg_catalog.starts_with(datname::text, $1) OR pg_catalog.starts_with(datname::text, $2)) ORDER BY oid`, prefixWarm, prefixNew+warmJob)
	if err != nil {
		return shelf, fmt.Errorf("look for databases made in advance: %w", err)
	}
	var name, comment string
	_, err = pgx.ForEachRow(rows, []any{&name, &comment}, func() error {
		if id, making := strings.CutPrefix(name, prefixNew+warmJob); making {
			shelf.Unfinished = append(shelf.Unfinished, NewWarm(id, content))
			return nil
		}
		m := parseMark(comment)
		w := NewWarm(strings.TrimPrefix(name, prefixWarm), content)
		switch {
		case m.state == stateWarm && m.detail == content.key():
			shelf.Ready = append(shelf.Ready, w)
		case m.state == stateWarm:
			shelf.Stale = append(shelf.Stale, w)
		}
		return nil
	})
	if err != nil {
		return shelf, fmt.Errorf("look for databases made in advance: %w", err)
	}
	return shelf, nil
}

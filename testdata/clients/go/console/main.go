// Program console reads Howdah's console by lib/pq under database/sql, as
// Prometheus' exporter for PgBouncer does: it asks SHOW for each of its
// arguments, on one connection, and prints what it got as JSON.
//
// The connection is that of the PG… variables.
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"

	_ "github.com/lib/pq"
)

// answer is what came of one SHOW. Numbers are those that lib/pq makes of a
// column's type; a NULL is null.
type answer struct {
	Columns []string
	Types   []string
	Rows    [][]any
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(shows []string) error {
	db, err := sql.Open("postgres", "")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := db.Ping(); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	answers := map[string]*answer{}
	for _, show := range shows {
		a, err := ask(db, "SHOW "+show+";")
		if err != nil {
			return fmt.Errorf("SHOW %s: %w", show, err)
		}
		answers[show] = a
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func ask(db *sql.DB, query string) (*answer, error) {
	rows, err := db.Query(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	a := &answer{}
	if a.Columns, err = rows.Columns(); err != nil {
		return nil, err
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		a.Types = append(a.Types, t.DatabaseTypeName())
	}
	for rows.Next() {
		values, homes := make([]any, len(types)), make([]any, len(types))
		for i := range values {
			homes[i] = &values[i]
		}
		if err := rows.Scan(homes...); err != nil {
			return nil, err
		}
		for i, v := range values {
			if b, ok := v.([]byte); ok { // lib/pq leaves numeric and bytea to the caller
				values[i] = string(b)
			}
		}
		a.Rows = append(a.Rows, values)
	}
	return a, rows.Err()
}

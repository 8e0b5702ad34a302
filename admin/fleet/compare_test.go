package fleet_test

import (
	"io"
	"strings"
	"sync"
	"testing"

	"howdah/wire/postgres"
)

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// count says how often something stands in it.
func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// What nobody has followed is followed late, where that takes nothing from anybody. The
// rest is said.
func TestCompare(t *testing.T) {
	h := newHouse(t)
	log := &lines{}
	h.log = io.MultiWriter(t.Output(), log)
	h.relog()
	h.run()
	for _, name := range []string{"acme", "gone", "forged", "stripped", "fine"} {
		h.create(name)
	}
	var id string
	if err := h.server.QueryRow(t.Context(), "postgres", "select shobj_description(oid, 'pg_database') from pg_database where datname = 'forged'", nil, &id); err != nil {
		t.Fatal(err)
	}
	compare := func() {
		t.Helper()
		if err := h.fleet.Compare(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.wait("nothing is under way", func() bool {
			all, err := h.catalog.Underway(t.Context())
			return err == nil && len(all) == 0
		})
	}
	compare()
	if n := log.count("differ"); n > 0 {
		t.Errorf("%d differences are seen where none are", n)
	}
	err := h.server.Exec(t.Context(), postgres.Superuser,
		"alter database acme rename to renamed", "drop database gone", "comment on database stripped is null",
		"create database made owner fine", "create database open owner fine", "grant connect on database open to public, acme",
		"create database closed owner fine allow_connections false", "create database operators", `create database "Upper" owner fine`,
		"create database claims owner fine", "comment on database claims is '"+id+"'")
	if err != nil {
		t.Fatal(err)
	}
	const want = "fine:fine:fine forged:forged:forged gone:gone:gone made:made:fine renamed:renamed:acme stripped:stripped:stripped"
	for range 4 {
		compare()
		if got := h.tenants(); got != want {
			t.Fatalf("the catalog has %s, want %s", got, want)
		}
	}
	for _, text := range []string{"has no database \\\"gone\\\"", "both bear the mark of tenant \\\"forged\\\"", "database \\\"stripped\\\" of tenant"} {
		if n := log.count(text); n != 1 {
			t.Errorf("%q is said %d times", text, n)
		}
	}
	if n := log.count("a cluster differ"); n != 3 {
		t.Errorf("%d differences are said, want 3", n)
	}
	var kept int
	if err := h.server.QueryRow(t.Context(), "postgres", "select count(*) from pg_database where datname in ('renamed', 'stripped', 'made', 'open', 'closed', 'operators', 'Upper', 'claims', 'forged', 'fine')", nil, &kept); err != nil || kept != 10 {
		t.Errorf("%d of 10 databases are there, %v", kept, err)
	}
	var told string
	if err := h.server.QueryRow(t.Context(), "catalog", "select string_agg(distinct actor, ' ') from howdah.operation where kind = 'follow'", nil, &told); err != nil || told != "howdah" {
		t.Errorf("followed by %q, %v", told, err)
	}
}

package dump_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/provision/dump"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// house is a server with a tenant "acme", whose database has contents, and a prepared
// empty database for "copy".
type house struct {
	*testing.T
	server *postgres.Server
	tools  postgres.Binaries
	root   string
}

const contents = `
create table partner (id serial primary key, name text, photo oid);
insert into partner (name, photo) select 'Zoë ' || i, lo_from_bytea(0, decode(repeat('ab', 3000), 'hex')) from generate_series(1, 200) i;
create index on partner (unaccent(name));
create schema own;
create view own.names as select name from public.partner;
comment on table partner is 'people';
create publication p for table partner;`

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, server: wiretest.StartPostgres(t), root: filepath.Join(wiretest.ServerDir(t), "scratch")}
	var err error
	if h.tools, err = postgres.FindClient(0); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acme", "copy"} {
		wiretest.CreateTenant(t, h.server, name, name)
		h.exec(name, "create extension unaccent schema public", "create extension pg_trgm schema public",
			"alter function public.unaccent(text) immutable", "alter schema public owner to pg_database_owner")
	}
	h.as("acme", contents)
	return h
}

func (h *house) exec(database string, statements ...string) {
	h.Helper()
	if err := h.server.Exec(h.Context(), database, statements...); err != nil {
		h.Fatal(err)
	}
}

// as runs statements as a tenant.
func (h *house) as(name, statements string) {
	h.Helper()
	conn, err := pgx.Connect(h.Context(), h.server.URL(name, name, name))
	if err != nil {
		h.Fatal(err)
	}
	defer conn.Close(h.Context())
	if _, err := conn.Exec(h.Context(), statements); err != nil {
		h.Fatal(err)
	}
}

func (h *house) scratch() *dump.Scratch {
	h.Helper()
	s, err := dump.MakeScratch(h.root, 0)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = s.Remove() })
	return s
}

func (h *house) login(url string) dump.Login {
	h.Helper()
	l, err := dump.ParseLogin(url)
	if err != nil {
		h.Fatal(err)
	}
	return l
}

func (h *house) dump(into *dump.Scratch) {
	h.Helper()
	n, err := dump.Dump(h.Context(), dump.Out{Tools: h.tools, From: h.login(h.server.AdminURL("acme"))}, into)
	if err != nil {
		h.Fatal(err)
	}
	if n < 200*3000 {
		h.Errorf("the dump has %d bytes", n)
	}
}

// in is the restore as the role "copy", which knows no password but its own.
func (h *house) in() dump.In {
	return dump.In{Tools: h.tools, Into: h.login(h.server.URL("copy", "copy", "copy"))}
}

func (h *house) text(database, sql string) (text string) {
	h.Helper()
	if err := h.server.QueryRow(h.Context(), database, "select ("+sql+")::text", nil, &text); err != nil {
		h.Fatal(err)
	}
	return text
}

// All that is a tenant's own comes over, and is the other role's.
func TestCopy(t *testing.T) {
	h := newHouse(t)
	s := h.scratch()
	h.dump(s)
	if err := dump.Restore(t.Context(), h.in(), s); err != nil {
		t.Fatal(err)
	}
	const sum = "select md5(string_agg(id || name || md5(lo_get(photo)), ',' order by id)) from partner"
	if h.text("acme", sum) != h.text("copy", sum) {
		t.Error("the rows differ")
	}
	if owners := h.text("copy", "select string_agg(distinct relowner::regrole::text, ' ') from pg_class where oid >= 16384 and relkind in ('r', 'v', 'S')"); owners != "copy" {
		t.Errorf("owners are %s", owners)
	}
	h.as("copy", "insert into partner (name) values ('new')")
	if n := h.text("copy", "select max(id) from partner"); n != "201" {
		t.Errorf("the sequence gave %s", n)
	}
	if n := h.text("copy", "select count(*) from pg_publication"); n != "0" {
		t.Error("publications came over")
	}
	files, err := dump.Files(s)
	if err != nil || files[len(files)-1] != "toc.dat" {
		t.Errorf("files %v, %v", files, err)
	}
	if err := s.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(h.root); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What a tenant has put into its database to be run by who restores it is run by its own
// role, which may not.
func TestHostileDump(t *testing.T) {
	h := newHouse(t)
	mark := filepath.Join(wiretest.ServerDir(t), "mark")
	for what, refused := range map[string]string{
		"copy (select 1) to program 'touch " + mark + "'": "pg_execute_server_program",
		"execute 'alter role copy superuser'":             "must be superuser",
	} {
		h.as("acme", `drop table if exists bait;
			create or replace function g() returns int volatile language sql as 'select 1';
			create or replace function f(i int) returns int immutable language plpgsql as 'begin return i + public.g(); end';
			create table bait (i int); create index on bait (f(i)); insert into bait values (1);
			create or replace function g() returns int volatile language plpgsql as $$ begin `+what+`; return 1; end $$`)
		s := h.scratch()
		h.dump(s)
		if err := dump.Restore(t.Context(), h.in(), s); !errors.Is(err, dump.ErrContents) || !strings.Contains(err.Error(), refused) {
			t.Errorf("%s: restored: %v", what, err)
		}
		if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
			t.Error("its program ran")
		}
		if h.text("postgres", "select rolsuper from pg_roles where rolname = 'copy'") != "false" {
			t.Error("its role is a superuser")
		}
		h.as("copy", "drop owned by copy")
	}
}

// Who waits for a table that somebody holds is told to end, and ends.
func TestCancel(t *testing.T) {
	h := newHouse(t)
	conn, err := pgx.Connect(t.Context(), h.server.AdminURL("acme"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "begin; lock table partner"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("nobody wants it")
	s := h.scratch()
	ended := make(chan error, 1)
	go func() {
		_, err := dump.Dump(ctx, dump.Out{Tools: h.tools, From: h.login(h.server.AdminURL("acme"))}, s)
		ended <- err
	}()
	const waiting = "select count(*) from pg_stat_activity where application_name = 'howdah' and wait_event_type = 'Lock'"
	wait(t, func() bool { return h.text("postgres", waiting) != "0" })
	cancel(why)
	if err := <-ended; !errors.Is(err, why) {
		t.Errorf("it ended with %v", err)
	}
	wait(t, func() bool {
		return h.text("postgres", "select count(*) from pg_stat_activity where application_name = 'howdah'") == "0"
	})
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}

// A dump that is cut short is told from one of a server that is away.
func TestBadDump(t *testing.T) {
	h := newHouse(t)
	s := h.scratch()
	h.dump(s)
	files, err := dump.Files(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		path := filepath.Join(s.Data(), f)
		if info, err := os.Stat(path); err == nil && f != "toc.dat" && info.Size() > 100 {
			if err := os.Truncate(path, info.Size()-7); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = dump.Restore(t.Context(), h.in(), s)
	if !errors.Is(err, dump.ErrContents) || strings.Contains(err.Error(), "Zoë") {
		t.Errorf("restored: %v", err)
	}
	if err := os.Truncate(filepath.Join(s.Data(), "toc.dat"), 100); err != nil {
		t.Fatal(err)
	}
	if err := dump.Restore(t.Context(), h.in(), s); !errors.Is(err, dump.ErrContents) {
		t.Errorf("without contents: %v", err)
	}
	h.server.Kill()
	if err := dump.Restore(t.Context(), h.in(), s); err == nil || errors.Is(err, dump.ErrContents) {
		t.Errorf("without a server: %v", err)
	}
}

func TestScratch(t *testing.T) {
	root := t.TempDir()
	if _, err := dump.MakeScratch(root, 1<<60); !errors.Is(err, dump.ErrNoSpace) || !strings.Contains(err.Error(), "more there") {
		t.Errorf("of an exabyte: %v", err)
	}
	held, err := dump.MakeScratch(root, 1)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(root, "howdah-scratch-1")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	other, err := dump.MakeScratch(root, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Error("what the dead have left stays")
	}
	if info, err := os.Stat(held.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("one that is used: %v, %v", info, err)
	}
	if err := errors.Join(held.Remove(), other.Remove()); err != nil {
		t.Error(err)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1000: "1 kB", 1_234_567: "1.23 MB", 5e12: "5 TB", 1 << 62: "4.61 EB"} {
		if got := dump.Size(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

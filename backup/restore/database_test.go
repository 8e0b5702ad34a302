package restore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"howdah/backup/base"
	"howdah/backup/restore"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// in runs statements in a database of the house.
func (h *house) in(database string, statements ...string) {
	h.Helper()
	conn, err := pgx.Connect(h.Context(), h.AdminURL(database))
	if err != nil {
		h.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range statements {
		if _, err := conn.Exec(h.Context(), sql); err != nil {
			h.Fatalf("%s: %v", sql, err)
		}
	}
}

// sum is what a database has in its tables.
func (h *house) sum(database string) (text string) {
	h.Helper()
	err := h.QueryRow(h.Context(), database, "select coalesce(count(*), 0) || ' ' || coalesce(sum(hashtext(i::text)), 0) from invoice i", nil, &text)
	if err != nil {
		h.Fatal(err)
	}
	return text
}

// fill makes a database with invoices.
func (h *house) fill(name string, n int) {
	h.Helper()
	h.exec("create database " + name + " strategy wal_log")
	h.in(name, "create table invoice (id int primary key, name text)", "create index on invoice (lower(name))",
		fmt.Sprintf("insert into invoice select n, 'invoice ' || n || repeat('x', n %% 100) from generate_series(1, %d) n", n))
}

// load makes into a new database what a dump has, and returns its sum.
func (h *house) load(t *testing.T, folder string) string {
	t.Helper()
	h.exec("drop database if exists loaded")
	h.exec("create database loaded")
	cmd := exec.Command(h.binaries.Path("pg_restore"), "--exit-on-error", "--no-owner", "--dbname="+h.AdminURL("loaded"), folder)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pg_restore: %v\n%s", err, out)
	}
	return h.sum("loaded")
}

func TestRestoreDatabase(t *testing.T) { testRestoreDatabase(t, wiretest.FindPostgres(t)) }

func TestRestoreDatabaseNewer(t *testing.T) { testRestoreDatabase(t, wiretest.NewerPostgres(t)) }

func TestRestoreDatabaseNewestSoak(t *testing.T) {
	testRestoreDatabase(t, wiretest.NewestPostgres(t))
}

func testRestoreDatabase(t *testing.T, binaries postgres.Binaries) {
	h := newHouse(t, binaries)
	names := []string{"acme", "globex", "initech"}
	for _, name := range names {
		h.fill(name, 5000)
	}
	h.fill("cut", 5000)
	m := h.backUpWithoutTheEndOf("cut")
	// The others do what has a server miss their pages: they are vacuumed, cut and dropped.
	for _, name := range names {
		h.in(name, "update invoice set name = name || '!' where id % 3 = 0", "delete from invoice where id > 4000", "vacuum (freeze, analyze) invoice",
			"create table later as select * from invoice", "truncate later")
	}
	h.exec("alter database initech rename to moved")
	h.exec("alter database globex rename to initech")
	h.exec("checkpoint")
	h.fill("born", 100)
	h.in("acme", "insert into invoice values (9000, 'paid')")
	// A copy of files: WAL has nothing of it but that it was made.
	h.exec("create database copied strategy file_copy template moved")
	h.in("copied", "insert into invoice values (9001, 'copied')")
	wanted := map[string]string{"copied": h.sum("copied"), "acme": h.sum("acme"), "moved": h.sum("moved"), "initech": h.sum("initech"), "born": h.sum("born")}
	// A tenant may own its database, and have whoever logs in to it use what is its own.
	h.in("acme", `create function fail(oid, oid) returns boolean language plpgsql as 'begin raise exception ''run as %'', current_user; end'`,
		"create operator public.= (leftarg = oid, rightarg = oid, function = fail)", "create role other",
		"alter database acme set search_path = public, pg_catalog", "alter database acme set default_transaction_read_only = on",
		"alter database acme set statement_timeout = '1ms'", "alter database acme set role = other")
	at := h.now()
	h.exec("alter database acme reset all")
	h.in("acme", "delete from invoice") // which is what they call for
	h.exec("drop database moved")
	h.write(3)
	p := h.plan(at)
	for name, want := range wanted {
		t.Run(name, func(t *testing.T) {
			into := filepath.Join(t.TempDir(), "dump")
			var read int64
			d := &restore.Database{
				Repo: h.repo, Name: name, Into: into, Binaries: binaries, Get: []string{os.Args[0], "get"}, Jobs: 2,
				Progress: func(part string, p base.Progress) {
					if part == restore.Fetch {
						read = p.Done
					}
				},
			}
			if err := d.Run(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if got := h.load(t, into); got != want {
				t.Errorf("restored %s, not %s", got, want)
			}
			if read == 0 || read > m.Size {
				t.Errorf("%d of %d bytes were read", read, m.Size)
			}
		})
	}
	t.Run("one that is not whole", func(t *testing.T) { testCut(t, h) })
	t.Run("one that was not there", func(t *testing.T) {
		into := filepath.Join(t.TempDir(), "dump")
		d := &restore.Database{Repo: h.repo, Name: "never", Into: into, Binaries: binaries, Get: []string{os.Args[0], "get"}}
		if err := d.Run(t.Context(), p); !errors.Is(err, restore.ErrNoDatabase) {
			t.Errorf("it is restored: %v", err)
		}
		if _, err := os.Lstat(into); err == nil {
			t.Error("there is a dump of it")
		}
	})
}

// backUpWithoutTheEndOf takes a base backup in which the last page of a database's invoices
// is missing, of which nothing in it tells.
func (h *house) backUpWithoutTheEndOf(database string) *base.Manifest {
	h.Helper()
	var path string
	if err := h.QueryRow(h.Context(), database, "select pg_relation_filepath('invoice')", nil, &path); err != nil {
		h.Fatal(err)
	}
	h.exec("checkpoint") // the server has nothing to write there
	path = filepath.Join(h.Dir(), path)
	whole := filepath.Join(filepath.Dir(h.Dir()), "whole")
	pages, err := os.ReadFile(path)
	if err == nil {
		err = os.Rename(path, whole)
	}
	if err == nil {
		err = os.WriteFile(path, pages[:len(pages)-8192], 0o600)
	}
	if err == nil {
		err = postgres.Own(path)
	}
	if err != nil {
		h.Fatal(err)
	}
	m := h.backUp()
	if err := os.Rename(whole, path); err != nil {
		h.Fatal(err)
	}
	return m
}

// testCut restores a database of which a page is missing: there would be a dump of the rest,
// and nothing wrong with its indexes.
func testCut(t *testing.T, h *house) {
	// Of a page that is not there, and does not come back with it: the house's servers have
	// full_page_writes off.
	h.in("cut", "delete from invoice where id > 4990")
	h.write(1)
	at := h.now()
	h.write(1)
	p := h.plan(at)
	pages := &restore.InvalidPages{}
	into := filepath.Join(t.TempDir(), "dump")
	d := &restore.Database{Repo: h.repo, Name: "cut", Into: into, Binaries: h.binaries, Get: []string{os.Args[0], "get"}}
	if err := d.Run(t.Context(), p); !errors.Is(err, restore.ErrInvalidPage) || !errors.As(err, &pages) || pages.Lines < 2 {
		t.Errorf("the database: %v", err)
	}
	if _, err := os.Lstat(into); err == nil {
		t.Error("there is a dump of it")
	}
	c := &restore.Cluster{Repo: h.repo, Dir: filepath.Join(wiretest.ServerDir(t), "restored"), Binaries: h.binaries, Get: []string{os.Args[0], "get"}}
	if err := c.Run(t.Context(), p); !errors.Is(err, restore.ErrInvalidPage) {
		t.Errorf("the cluster: %v", err)
	}
}

// A tablespace that is made after the base backup is at a path that is the live server's
// too: a recovery on the same machine, whoever runs it, must not touch what is there.
func TestRestoreLeavesLiveTablespacesAlone(t *testing.T) {
	h := newHouse(t, wiretest.FindPostgres(t))
	h.fill("acme", 1000)
	h.backUp()
	space := filepath.Join(filepath.Dir(h.Dir()), "space")
	if err := os.Mkdir(space, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Own(space); err != nil {
		t.Fatal(err)
	}
	h.exec("create tablespace space location '" + space + "'")
	h.in("acme", "create table later tablespace space as select * from invoice", "alter table invoice set tablespace space")
	wanted := h.sum("acme")
	h.write(1)
	rows := h.rows
	p := h.plan("lsn:" + h.text("select pg_current_wal_insert_lsn()::text"))
	h.in("acme", "insert into invoice select n, 'later ' || n from generate_series(100000, 150000) n", "vacuum invoice")
	before := h.sum("acme")
	h.exec("checkpoint") // all of it is in the files

	into := filepath.Join(t.TempDir(), "dump")
	d := &restore.Database{Repo: h.repo, Name: "acme", Into: into, Binaries: h.binaries, Get: []string{os.Args[0], "get"}}
	if err := d.Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got := h.load(t, into); got != wanted {
		t.Errorf("the database has %s, want %s", got, wanted)
	}
	h.look = func(conn *pgx.Conn, dir string) {
		var oid, location string
		err := conn.QueryRow(t.Context(), "select oid::text, pg_tablespace_location(oid) from pg_tablespace where spcname = 'space'").Scan(&oid, &location)
		if err != nil || location != filepath.Join(dir, "howdah_tablespaces", oid) {
			t.Errorf("the restored cluster has the tablespace at %q, %v", location, err)
		}
	}
	if got := h.run(t, p); !slices.Equal(got, upTo(rows)) {
		t.Errorf("the cluster has %d rows, want %d", len(got), rows)
	}

	h.conn.Close(context.Background())
	if err := h.Stop(t.Context(), postgres.Fast); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := h.sum("acme"); after != before {
		t.Errorf("the live database had %s and has %s", before, after)
	}
}

package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// sqlOnTwoNodes has a tenant's user make, rename and drop databases by SQL through one node
// while clients are in them through another: it is done as if they were not connected, and
// they are told what PostgreSQL tells whom WITH (FORCE) ends. Those of other databases have
// no error.
func (p *upPlace) sqlOnTwoNodes(t *testing.T) {
	t.Helper()
	maker := p.makeTenant("maker")
	p.admin("postgres", "alter role maker createdb")
	if err := p.try(maker, "create table worked (n int)"); err != nil {
		t.Fatal(err)
	}
	there := maker.Copy()
	port, stop := p.secondNode(t)
	defer stop()
	there.Port = uint16(port)
	waitUntil(t, func() bool { return p.try(there, "select 1") == nil })
	bystander := p.works(t, there)
	admin, err := pgx.ConnectConfig(t.Context(), maker)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context()))
	does := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	in := func(name string) *pgx.ConnConfig {
		cfg := there.Copy()
		cfg.Database = name
		waitUntil(t, func() bool { return p.try(cfg, "select 1") == nil })
		return cfg
	}
	agree := func(want ...string) {
		t.Helper()
		if got := p.tenantsOf(t, "maker"); !slices.Equal(got, want) {
			t.Errorf("the catalog has %q, want %q", got, want)
		}
	}
	soak := os.Getenv("HOWDAH_SOAK") != ""
	rounds := 1
	if soak {
		rounds = 5
	}
	for range rounds {
		does("create database ridden")
		does("create table here (n int)") // in its own
		does("drop table here")
		cfg := in("ridden")
		if err := p.try(cfg, "create table worked (n int)"); err != nil {
			t.Fatal(err)
		}
		agree("maker", "ridden")
		working := p.works(t, cfg)
		does("alter database ridden rename to rode")
		agree("maker", "rode")
		if n := p.count(t, "rode"); n != "0" {
			t.Errorf("renamed, %s servers are in it", n)
		}
		working.gone(t, "renamed")
		working = p.works(t, in("rode"))
		if err := p.try(cfg, "select 1"); !isGone(err) {
			t.Errorf("by the old name: %v", err)
		}
		does("drop database rode")
		agree("maker")
		working.gone(t, "dropped")
		if err := p.try(in("maker"), "select 1"); err != nil {
			t.Error(err)
		}
	}
	if soak { // PostgreSQL takes 5 s to say no
		p.inTheWay(t, admin, in)
	}
	bystander.end(t)
}

// inTheWay has a transaction be open at the other node: PostgreSQL says no.
func (p *upPlace) inTheWay(t *testing.T, admin *pgx.Conn, in func(string) *pgx.ConnConfig) {
	t.Helper()
	if _, err := admin.Exec(t.Context(), "create database busy"); err != nil {
		t.Fatal(err)
	}
	inside, err := pgx.ConnectConfig(t.Context(), in("busy"))
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close(context.WithoutCancel(t.Context()))
	tx, err := inside.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), "create table kept (n int)")
	}
	if err != nil {
		t.Fatal(err)
	}
	var pg *pgconn.PgError
	if _, err := admin.Exec(t.Context(), "drop database busy"); !errors.As(err, &pg) || pg.Code != "55006" {
		t.Errorf("with a transaction in it: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := inside.Exec(t.Context(), "select from kept"); err != nil {
		t.Errorf("behind a drop that was refused: %v", err)
	}
	if got := p.tenantsOf(t, "maker"); !slices.Equal(got, []string{"busy", "maker"}) {
		t.Errorf("the catalog has %q", got)
	}
	if _, err := admin.Exec(t.Context(), "drop database busy"); err != nil {
		t.Error(err)
	}
	if _, err := inside.Exec(t.Context(), "select 1"); !isEnded(err) {
		t.Errorf("dropped, its client has %v", err)
	}
}

// isEnded reports whether a session was ended since its database is gone.
func isEnded(err error) bool {
	var pg *pgconn.PgError
	return isGone(err) || errors.As(err, &pg) && pg.Code == "57P01" // admin_shutdown
}

// isGone reports whether an error is that there is no such database.
func isGone(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "3D000"
}

// count is how many servers are in a database.
func (p *upPlace) count(t *testing.T, database string) string {
	t.Helper()
	query := "select count(*) from pg_stat_activity where datname = '" + database + "'"
	out, err := exec.CommandContext(t.Context(), "psql", "-h", p.dir+"/run", "-p", strconv.Itoa(p.primary), "-U", "postgres", "-d", "postgres", "-Atc", query).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// workers are clients that insert rows one after the other, and end at their first error.
type workers struct {
	all  sync.WaitGroup
	quit chan struct{}
	mu   sync.Mutex // guards errs
	errs []error
}

// works has clients work, and returns when each has.
func (p *upPlace) works(t *testing.T, cfg *pgx.ConnConfig) *workers {
	t.Helper()
	w := &workers{quit: make(chan struct{})}
	var begun sync.WaitGroup
	for n := range 4 {
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		begun.Add(1)
		w.all.Go(func() {
			defer conn.Close(context.WithoutCancel(t.Context()))
			once := sync.OnceFunc(begun.Done)
			defer once()
			for {
				select {
				case <-w.quit:
					return
				default:
				}
				if _, err := conn.Exec(t.Context(), "insert into worked values ($1)", n); err != nil {
					w.mu.Lock()
					w.errs = append(w.errs, fmt.Errorf("client %d: %w", n, err))
					w.mu.Unlock()
					return
				}
				once()
			}
		})
	}
	begun.Wait()
	return w
}

// gone waits until each client has been told that its database is gone.
func (w *workers) gone(t *testing.T, what string) {
	t.Helper()
	w.all.Wait()
	for _, err := range w.errs {
		if !isEnded(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// end ends clients that must have had no error.
func (w *workers) end(t *testing.T) {
	t.Helper()
	close(w.quit)
	w.all.Wait()
	for _, err := range w.errs {
		t.Errorf("who was not concerned: %v", err)
	}
}

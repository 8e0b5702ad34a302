package fleet_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin/fleet"
	"howdah/backup/store"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// newMajors is a pair whose second cluster is of a newer major version, with the catalog on
// a server of its own. What is acknowledged survives a crash of either.
func newMajors(t *testing.T) *pair {
	t.Helper()
	durable := wiretest.WithSetting("synchronous_commit", "on")
	binaries, newest := wiretest.FindPostgres(t), wiretest.NewestPostgres(t)
	keeper, source := wiretest.StartPostgresOf(t, binaries), wiretest.StartPostgresOf(t, binaries, durable)
	target := wiretest.StartPostgresOf(t, newest, durable)
	h := &house{t: t, server: source, pooler: newPooler(), log: t.Output()}
	var err error
	if h.catalog, err = catalog.Open(t.Context(), keeper.AdminURL(postgres.Superuser)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.catalog.Close)
	h.admins = []string{source.AdminURL(postgres.Superuser), target.AdminURL(postgres.Superuser)}
	h.relog()
	return &pair{house: h, other: target}
}

// sumsOf are sums, without what a newer major version has beside.
func sumsOf(t *testing.T, s *postgres.Server) string {
	t.Helper()
	return strings.ReplaceAll(value(t, s, "acme", sums), "arwdDxtm/", "arwdDxt/") // 17 has MAINTAIN
}

// TestImportOfNewerMajorSoak: what is exported from a newer major version comes to a
// cluster of that, by itself, and to none that is older.
func TestImportOfNewerMajorSoak(t *testing.T) {
	p := newMajors(t)
	e := &exporter{house: p.house}
	e.store = filepath.Join(wiretest.ServerDir(t), "store")
	if err := store.MakeDir(e.store); err != nil {
		t.Fatal(err)
	}
	e.fleet = newFleet(t.Context(), "house", e.key.Load, e.catalog, e.admins, e.pooler, e.log, nil, withStore(e.store))
	e.run()
	made, err := e.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme", Cluster: "other"}, false)
	if err != nil {
		t.Fatal(err)
	}
	e.await(made.Operation, catalog.Done)
	m := e.export()
	_, err = e.fleet.ImportTenant(t.Context(), anna, fleet.NewTenant{Name: "new", Export: m.ID, Cluster: "main"}, false)
	if err == nil || !strings.Contains(err.Error(), `cluster "main" has PostgreSQL 15`) || !strings.Contains(err.Error(), "is of PostgreSQL 18") {
		t.Errorf("to an older one: %v", err)
	}
	made = e.imports("new", m.ID) // "main" has fewer tenants
	if made.Cluster != "other" || !strings.Contains(made.Why, `cluster "main" has PostgreSQL 15`) {
		t.Errorf("it comes to %q: %s", made.Cluster, made.Why)
	}
	e.await(made.Operation, catalog.Done)
}

// TestMoveToNewerMajorSoak moves a tenant to a newer major version in both ways. It cannot
// come back but by the old database.
func TestMoveToNewerMajorSoak(t *testing.T) {
	p := newMajors(t)
	p.run()
	for _, how := range []string{fleet.Replicate, fleet.Dump} {
		made := p.create("acme")
		as(t, p.server, "acme", made.Password, contents)
		want := sumsOf(t, p.server)
		o := p.await(p.start("other", how), catalog.Done)
		if got := sumsOf(t, p.other); got != want {
			t.Errorf("%s: what is different:\n%s", how, difference(want, got))
		}
		if got := left(t, p.server) + left(t, p.other); got != "howdah_drop_"+o.ID+" | acme |acme | acme |" {
			t.Errorf("%s: there is %s", how, got)
		}
		for _, way := range []string{fleet.Auto, fleet.Replicate, fleet.Dump} {
			if _, err := p.fleet.MoveTenant(t.Context(), anna, "acme", fleet.Destination{Cluster: "main", How: way}, false); err == nil || !strings.Contains(err.Error(), "to an older one is not possible") {
				t.Errorf("back to the older version: %v", err)
			}
		}
		p.forget()
	}
}

// forget drops acme for good, wherever it is.
func (p *pair) forget() {
	p.t.Helper()
	o, err := p.fleet.DropTenant(p.t.Context(), anna, "acme", time.Hour) // 0 would have it purged by the schedule too
	for ; err == nil; o, err = p.fleet.PurgeTenant(p.t.Context(), anna, "acme") {
		p.await(o, catalog.Done)
	}
	if got := left(p.t, p.server) + left(p.t, p.other); got != "| || |" {
		p.t.Fatalf("dropped and purged, there is %s (%v)", got, err)
	}
}

// steady is a client that writes again and again, come what may, and remembers what was
// acknowledged.
type steady struct {
	url   string
	acked []int
	tried int
	mu    sync.Mutex // guards acked
}

func (s *steady) work(ctx context.Context) {
	var conn *pgx.Conn
	for ctx.Err() == nil {
		var err error
		if conn == nil || conn.IsClosed() {
			if conn, err = pgx.Connect(ctx, s.url); err != nil {
				time.Sleep(20 * time.Millisecond)
				continue
			}
		}
		s.tried++
		if _, err = conn.Exec(context.WithoutCancel(ctx), "insert into load values ($1)", s.tried); err != nil {
			continue
		}
		s.mu.Lock()
		s.acked = append(s.acked, s.tried)
		s.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
	}
	if conn != nil {
		conn.Close(context.Background())
	}
}

func (s *steady) last() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.acked) == 0 {
		return 0
	}
	return s.acked[len(s.acked)-1]
}

// TestServersDieInAMoveSoak has either server of a move to a newer major version die by
// KILL at moments of it, and come back, under a client that writes: nothing acknowledged
// is lost or doubled, and the move comes to its end or is undone.
func TestServersDieInAMoveSoak(t *testing.T) {
	for _, how := range []string{fleet.Replicate, fleet.Dump} {
		for _, who := range []string{"source", "target"} {
			t.Run(how+" "+who, func(t *testing.T) { serversDie(t, how, who) })
		}
	}
}

func serversDie(t *testing.T, how, who string) {
	p := newMajors(t)
	victim := p.server
	if who == "target" {
		victim = p.other
	}
	k := &killer{server: victim, kind: "move"}
	p.stepped = k.stepped
	address := p.door()
	host, port, _ := net.SplitHostPort(address)
	p.run()
	for crash := 0; ; crash++ {
		made := p.create("acme")
		as(t, p.server, "acme", made.Password, contents)
		if err := p.server.Exec(t.Context(), postgres.Superuser, "checkpoint"); err != nil { // else sequences skip values at a crash
			t.Fatal(err)
		}
		want := sumsOf(t, p.server)
		as(t, p.server, "acme", made.Password, "create table public.load (n int)")
		ctx, stop := context.WithCancel(t.Context())
		client := steady{url: fmt.Sprintf("host=%s port=%s user=acme dbname=acme password=%s sslmode=disable", host, port, made.Password)}
		var running sync.WaitGroup
		running.Go(func() { client.work(ctx) })
		p.wait("the client works", func() bool { return client.last() > 0 })
		k.arm(crash, crash)
		begun := time.Now()
		o := p.ended(p.start("other", how))
		took := time.Since(begun)
		at := k.back(t)
		then := client.last()
		p.wait("the client goes on", func() bool { return client.last() > then })
		stop()
		running.Wait()
		if at == "" {
			return
		}
		at = how + " " + who + " " + at
		t.Logf("%s: %s after %v", at, o.State, took.Round(10*time.Millisecond))
		p.nothingLost(&client, o, want, at)
		p.forget()
	}
}

// ended waits until an operation has ended, and has it go on when it needs attention.
func (h *house) ended(o *catalog.Operation) *catalog.Operation {
	h.t.Helper()
	h.wait("the operation ends", func() bool {
		now, err := h.catalog.Operation(h.t.Context(), o.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		if o = now; o.State == catalog.Attention {
			h.t.Logf("at %q it needs attention: %s", o.Step, o.Error)
			if err := h.fleet.ResumeOperation(h.t.Context(), anna, o.ID); err != nil {
				h.t.Fatal(err)
			}
		}
		return o.State.Ended()
	})
	return o
}

// nothingLost checks what a tenant has behind a move, and that nothing is left of that.
func (p *pair) nothingLost(client *steady, o *catalog.Operation, want, at string) {
	t := p.t
	t.Helper()
	here, rest := p.other, "howdah_drop_"+o.ID+" | acme |acme | acme |"
	if o.State != catalog.Done {
		here, rest = p.server, "acme | acme || |"
		t.Logf("%s: it failed: %s", at, o.Error)
	}
	if got := left(t, p.server) + left(t, p.other); got != rest {
		t.Errorf("%s: there is %s", at, got)
	}
	written := value(t, here, "acme", "select string_agg(n::text, ' ' order by n) from public.load")
	for _, n := range client.acked {
		if !slices.Contains(strings.Fields(written), fmt.Sprint(n)) {
			t.Errorf("%s: row %d of %d is lost", at, n, len(client.acked))
		}
	}
	if all := strings.Fields(written); len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("%s: rows are doubled", at)
	}
	as(t, here, "acme", client.password(), "drop table public.load")
	if got := sumsOf(t, here); got != want {
		t.Errorf("%s: what is different:\n%s", at, difference(want, got))
	}
}

func (s *steady) password() string {
	cfg, err := pgx.ParseConfig(s.url)
	if err != nil {
		panic(err)
	}
	return cfg.Password
}

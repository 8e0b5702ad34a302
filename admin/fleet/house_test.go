package fleet_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// servers are lent to tests: see TestMain.
var servers wiretest.Lender

const patience = time.Minute

var anna = catalog.Actor{Name: "anna", Door: "test"}

// house is a cluster, a catalog in a database of the same server, and who works with
// them.
type house struct {
	t       *testing.T
	server  *postgres.Server
	catalog *catalog.Catalog
	admins  []string // URLs of the clusters' admins
	pooler  *pooler  // of the node that the house is
	fleet   *fleet.Fleet
	log     io.Writer
	key     atomic.Pointer[catalog.MasterKey] // nil: new tenants are not managed
	store   string                            // where exports are kept; "" is nowhere
}

// masterKeyText is the master key of all nodes that have one.
const masterKeyText = "AGE-SECRET-KEY-1X9LG99FFNRUDK5NKKZS93YDMEHP3VXAR4NSGAEJZT7S779ZQ9A2SW4XT7X"

// theMasterKey reads it.
func theMasterKey() *catalog.MasterKey {
	k, err := catalog.ParseMasterKey(masterKeyText)
	if err != nil {
		panic(err)
	}
	return k
}

// newManagedHouse is newHouse with a master key.
func newManagedHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.key.Store(theMasterKey())
	return h
}

func newHouse(t *testing.T, others ...*postgres.Server) *house {
	t.Helper()
	return newHouseAt(t, servers.Lend(t), others...)
}

// newHouseAt is newHouse with a server that has nothing yet.
func newHouseAt(t *testing.T, s *postgres.Server, others ...*postgres.Server) *house {
	t.Helper()
	if err := s.Exec(t.Context(), postgres.Superuser, "create database catalog"); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, server: s, pooler: newPooler(), log: t.Output()}
	c, err := catalog.Open(t.Context(), s.AdminURL("catalog"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	h.catalog = c
	h.admins = []string{s.AdminURL(postgres.Superuser)}
	for _, other := range others {
		h.admins = append(h.admins, other.AdminURL(postgres.Superuser))
	}
	h.relog()
	return h
}

// relog gives the house a Fleet that writes into its log.
func (h *house) relog() {
	h.fleet = newFleet(h.t.Context(), "house", h.key.Load, h.catalog, h.admins, h.pooler, h.log, nil)
}

// newFleet returns the Fleet of a node, on a cluster "main" and one "other", by their
// admins' URLs; the second may be left out. Its registry follows the
// catalog, and its pooler holds who is held.
func newFleet(ctx context.Context, node string, key func() *catalog.MasterKey, c *catalog.Catalog, admins []string, p fleet.Pooler, log io.Writer, stepped func(kind, step string, begun bool), more ...func(*fleet.Config)) *fleet.Fleet {
	registry := tenants.NewRegistry(snapshot(admins, nil))
	logger := slog.New(slog.NewTextHandler(log, nil))
	config := fleet.Config{
		Catalog: c, Registry: registry, Log: logger, Stepped: stepped,
		MasterKey: key,
		Check: func(entries []catalog.Entry) error {
			for _, e := range entries {
				if _, ok := e.Settings["nonsense"]; ok {
					return fmt.Errorf("%s %q has nonsense", e.Kind, e.Name)
				}
			}
			return nil
		},
	}
	for _, change := range more {
		change(&config)
	}
	f, err := fleet.New(ctx, node, config)
	if err != nil {
		panic(err)
	}
	holder := &fleet.Holder{Catalog: c, Pooler: p, Node: node, Log: logger}
	go c.Follow(ctx, logger, catalog.Follower{
		Node: node, Version: "test",
		Use:  func(now *catalog.Contents) { registry.Replace(snapshot(admins, now.Entries)) },
		Held: func(holds []catalog.Hold) { holder.Use(ctx, holds) },
	})
	return f
}

// snapshot is what the daemon makes of entries, as far as it matters here.
func snapshot(admins []string, entries []catalog.Entry) *tenants.Snapshot {
	var clusters []tenants.Cluster
	for i, admin := range admins {
		clusters = append(clusters, tenants.Cluster{Name: []string{"main", "other"}[i], AdminURL: admin, Members: []tenants.Member{{Address: "127.0.0.1:1"}}})
	}
	var all []tenants.Tenant
	var users []tenants.User
	tiers := map[string]int64{} // their work_mem
	for _, e := range entries {
		if e.Kind == catalog.Tier {
			tiers[e.Name], _ = e.Settings["work_mem"].(int64)
		}
	}
	for _, e := range entries {
		number := func(name string) int { n, _ := e.Settings[name].(int64); return int(n) }
		switch e.Kind {
		case catalog.Cluster:
			c := tenants.Cluster{Name: e.Name, AdminURL: admins[0], Warm: number("warm"), Store: e.Settings.Text("store")}
			if c.Name == "main" {
				clusters[0] = c
			} else {
				clusters = append(clusters, c)
			}
		case catalog.Tenant:
			state, _ := tenants.ParseState(e.Settings.Text("state")) // none is active
			role := tenants.RoleSettings{WorkMem: int64(number("work_mem")), TempFileLimit: int64(number("temp_file_limit"))}
			if tier := tiers[e.Settings.Text("tier")]; role.WorkMem == 0 {
				role.WorkMem = tier
			}
			all = append(all, tenants.Tenant{Role: role, Backup: tenants.BackupPolicy{Exports: e.Settings.Text("export_store")}, ID: e.ID, Name: e.Name, Cluster: e.Settings.Text("cluster"), Database: e.Settings.Text("database"), User: e.Settings.Text("user"), State: state})
		case catalog.User:
			users = append(users, userOf(&e))
		}
	}
	s, err := tenants.NewSnapshot(clusters, nil, all, users)
	if err != nil {
		panic(err)
	}
	return s
}

func userOf(e *catalog.Entry) tenants.User {
	u := tenants.User{ID: e.ID, Name: e.Name, Verifier: e.Settings.Text("verifier")}
	for name, list := range map[string]*[]string{"old_verifiers": &u.OldVerifiers, "server_keys": &u.ServerKeys} {
		all, _ := e.Settings[name].([]any)
		for _, text := range all {
			*list = append(*list, text.(string))
		}
	}
	return u
}

// run has the house's own Fleet run operations until the test ends.
func (h *house) run() { h.t.Cleanup(h.runs()) }

// runs is run, until stop is called.
func (h *house) runs() (stop func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := h.fleet.Run(ctx); err != nil {
			h.t.Error(err)
		}
	})
	return func() { cancel(); done.Wait() }
}

// pooler is a router that remembers whom it holds.
type pooler struct {
	mu   sync.Mutex
	held map[string]bool // tenant and operation
	seen []string        // tenants that were held, ever
	busy chan struct{}   // not closed: transactions are running; nil for none
}

func newPooler() *pooler { return &pooler{held: map[string]bool{}} }

func (p *pooler) Hold(ctx context.Context, tenant, operation string, _ time.Duration) error {
	p.mu.Lock()
	if !p.held[tenant+" "+operation] {
		p.seen = append(p.seen, tenant)
	}
	p.held[tenant+" "+operation] = true
	busy := p.busy
	p.mu.Unlock()
	if busy == nil {
		return nil
	}
	select {
	case <-busy:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pooler) Listen(context.Context, string, string) error { return nil }

func (p *pooler) Release(tenant, operation string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, tenant+" "+operation)
}

// holding returns how many tenants are held, and who was.
func (p *pooler) holding() (now int, ever []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held), slices.Clone(p.seen)
}

// wait waits until something is so.
func (h *house) wait(what string, so func() bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// letGo waits until nobody is held any more.
func (h *house) letGo() {
	h.t.Helper()
	h.wait("nobody is held", func() bool { n, _ := h.pooler.holding(); return n == 0 })
}

// await waits until an operation has ended.
func (h *house) await(o *catalog.Operation, want catalog.State) *catalog.Operation {
	h.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		now, err := h.catalog.Operation(h.t.Context(), o.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		if now.State == want {
			return now
		}
		if now.State.Ended() || now.State == catalog.Attention {
			h.t.Fatalf("%s is %s at step %q: %s", o.Kind, now.State, now.Step, now.Error)
		}
	}
	h.t.Fatalf("%s does not end", o.Kind)
	return nil
}

// can logs in as a tenant's user with a password as the router would, and reports what
// goes wrong.
func (h *house) can(name, password string) error {
	e, err := h.catalog.Entry(h.t.Context(), catalog.User, name)
	if err != nil {
		return err
	}
	u := userOf(e)
	var verifiers []*wire.Verifier
	for _, text := range u.Verifiers(time.Now()) {
		v, err := wire.ParseVerifier(text)
		if err != nil {
			return err
		}
		verifiers = append(verifiers, v)
	}
	shown, ok := wire.KeysOf(password, verifiers)
	if !ok {
		return wire.ErrAuthentication
	}
	key := h.key.Load()
	if key == nil {
		key = theMasterKey()
	}
	keys := []wire.ScramKeys{shown}
	for i, sealed := range u.ServerKeys {
		k, err := key.Open(sealed)
		if err != nil {
			return err
		}
		keys = slices.Insert(keys, i, k)
	}
	for _, k := range keys {
		if err = h.write(name, k); err == nil {
			return nil
		}
	}
	return err
}

// write logs in to a tenant's database, and writes a row.
func (h *house) write(name string, keys wire.ScramKeys) error {
	conn, err := wire.Dial(h.t.Context(), wire.DialConfig{
		Address: h.server.Address(), Secret: wire.Secret{Scram: &keys},
		Parameters: []wire.Parameter{{Name: "user", Value: name}, {Name: "database", Value: name}},
	})
	if err != nil {
		return err
	}
	defer conn.Conn.Close()
	if _, err := conn.Ask(h.t.Context(), "create table if not exists kept (n int)"); err != nil {
		return err
	}
	_, err = conn.Ask(h.t.Context(), "insert into kept values (1)")
	return err
}

// holds says what the server has: databases and roles that it did not have at first.
func (h *house) holds() string {
	h.t.Helper()
	var text string
	err := h.server.QueryRow(h.t.Context(), postgres.Superuser, `select coalesce((select string_agg(datname, ' ' order by datname) from pg_database where datname not in ('postgres', 'template0', 'template1', 'catalog')), '')
		|| '|' || coalesce((select string_agg(rolname, ' ' order by rolname) from pg_roles where rolname !~ '^pg_' and not rolsuper), '')`, nil, &text)
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

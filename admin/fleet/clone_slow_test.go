package fleet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// newSlow is a pair on whose first cluster a copy of a database can be made to wait.
func newSlow(t *testing.T) *pair {
	t.Helper()
	server, other := wiretest.StartPostgres(t, wiretest.WithSetting("max_prepared_transactions", "1")), servers.Lend(t)
	if err := server.Exec(t.Context(), postgres.Superuser, "create database catalog"); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, server: server, pooler: newPooler(), log: t.Output()}
	var err error
	if h.catalog, err = catalog.Open(t.Context(), server.AdminURL("catalog")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.catalog.Close)
	h.admins = []string{server.AdminURL(postgres.Superuser), other.AdminURL(postgres.Superuser)}
	h.relog()
	return &pair{house: h, other: other}
}

// slow has a copy of acme's database take longer than anybody guesses: it waits for 5 s for
// a transaction that is prepared there.
func (h *house) slow() {
	h.t.Helper()
	h.do("acme", "set role acme", "create table public.waits (i int)", "begin", "insert into public.waits values (1)", "prepare transaction 'slow'")
}

// A copy by template that takes longer than was guessed lets clients go on, and the clone
// comes by a dump; the next one goes by that. No client meets an error.
func TestCloneThatTakesTooLong(t *testing.T) {
	p := newSlow(t)
	address := p.door()
	p.run()
	made := p.create("acme")
	as(t, p.server, "acme", made.Password, "create table load (s serial, n int, t text)")
	p.slow()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writer clock
	var running sync.WaitGroup
	host, port, _ := net.SplitHostPort(address)
	running.Go(func() {
		writer.write(ctx, fmt.Sprintf("host=%s port=%s user=acme dbname=acme password=%s sslmode=disable", host, port, made.Password))
	})
	p.wait("the writer writes", func() bool {
		return value(t, p.server, "acme", "select (count(*) > 0)::text from load") == "true"
	})
	clone := p.clone(fleet.NewClone{Name: "staging"})
	if clone.How != fleet.Template {
		t.Fatalf("it is to be by %s: %s", clone.How, clone.WhyHow)
	}
	o := p.await(clone.Operation, catalog.Done)
	stop()
	running.Wait()
	var told struct {
		How   string  `json:"how"`
		Why   string  `json:"why_how"`
		Held  float64 `json:"held_seconds"`
		Model float64 `json:"model_seconds"`
	}
	if err := json.Unmarshal(o.Result, &told); err != nil || told.How != fleet.Dump || !strings.Contains(told.Why, "broken off") || told.Held < 1.5 || told.Model <= 0 {
		t.Errorf("the job says %s, %v", o.Result, err)
	}
	const most = 4.9 // s: a copy that is not broken off waits for longer than that
	if writer.err != nil || writer.longest.Seconds() > most {
		t.Errorf("the writer waited for %v at most, and ended with %v", writer.longest, writer.err)
	}
	if err := p.can("staging", clone.Password); err != nil {
		t.Error(err)
	}
	if got := value(t, p.server, "staging", "select (count(*) > 0)::text from load"); got != "true" {
		t.Error("the clone has no rows")
	}
	t.Logf("held for %.2f s, guessed %.2f; the writer waited for %v at most", told.Held, told.Model, writer.longest)
	next := func() *fleet.Cloning {
		t.Helper()
		plan, err := p.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "next"}, true)
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	if plan := next(); plan.How != fleet.Dump || !strings.Contains(plan.WhyHow, "would hold the source's clients") {
		t.Errorf("the next would be by %s: %s", plan.How, plan.WhyHow)
	}
	if err := p.server.Exec(t.Context(), "catalog", "update howdah.operation set finished_at = now() - interval '2 days'"); err != nil {
		t.Fatal(err)
	}
	if plan := next(); plan.How != fleet.Template {
		t.Errorf("days later, the next would be by %s: %s", plan.How, plan.WhyHow)
	}
	p.do("acme", "create language mine handler plpgsql_call_handler") // which a dump cannot have
	before := left(t, p.server)
	clone = p.clone(fleet.NewClone{Name: "next"})
	if o := p.await(clone.Operation, catalog.Failed); !strings.Contains(o.Error, "language mine") || !strings.Contains(o.Error, "say template") {
		t.Errorf("what can neither be copied in time nor dumped: %s", o.Error)
	}
	if got := left(t, p.server); got != before {
		t.Errorf("there is %s, before %s", got, before)
	}
	if err := p.can("acme", made.Password); err != nil {
		t.Error(err)
	}
	p.do("acme", "rollback prepared 'slow'")
	p.await(p.clone(fleet.NewClone{Name: "asked", How: fleet.Template}).Operation, catalog.Done)
}

// TestCloneThatTakesTooLongCrashSoak has a node die by KILL at moments of such a clone, and
// another go on. With HOWDAH_SOAK it is at every moment, else at a few.
func TestCloneThatTakesTooLongCrashSoak(t *testing.T) {
	first, every := 5, 8
	if os.Getenv("HOWDAH_SOAK") != "" {
		first, every = 0, 1
	}
	p := newSlow(t)
	made, err := p.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme", Cluster: "main"}, false)
	if err != nil {
		t.Fatal(err)
	}
	p.node(made.Operation, -1)
	as(t, p.server, "acme", made.Password, contents)
	p.slow()
	want := clonesums(t, p.server, "acme")
	for crash, died := first, true; died; crash += every {
		if err := p.server.Exec(t.Context(), "catalog", "update howdah.operation set finished_at = now() - interval '2 days'"); err != nil {
			t.Fatal(err)
		}
		clone := p.clone(fleet.NewClone{Name: "staging"})
		if clone.How != fleet.Template {
			t.Fatalf("crash %d: it is to be by %s: %s", crash, clone.How, clone.WhyHow)
		}
		if died = p.node(clone.Operation, crash); died {
			p.node(clone.Operation, -1)
		}
		if got := p.holds(); got != "acme staging|acme staging" {
			t.Fatalf("crash %d: there is %s", crash, got)
		}
		for _, name := range []string{"acme", "staging"} {
			if got := clonesums(t, p.server, name); got != want {
				t.Errorf("crash %d: what is different in %s:\n%s", crash, name, difference(want, got))
			}
		}
		if err := p.can("staging", clone.Password); err != nil {
			t.Errorf("crash %d: %v", crash, err)
		}
		p.house.forget("staging")
	}
	if n := value(t, p.server, "catalog", "select count(*)::text from howdah.hold where not ending and until > now()"); n != "0" {
		t.Errorf("%s holds are left", n)
	}
}

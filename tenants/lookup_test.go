package tenants_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"howdah/tenants"
)

func TestLookup(t *testing.T) {
	plain := snapshot(t,
		tenants.Tenant{Name: "acme", Database: "acme_db", User: "acme", Limits: tenants.Limits{PoolSize: 7}},
		tenants.Tenant{Name: "second", Database: "second", User: "acme"},
		tenants.Tenant{Name: "globex", Database: "globex", User: "globex", Cluster: "other"},
		tenants.Tenant{Name: "old", Database: "old", User: "mixed", State: tenants.Suspended},
		tenants.Tenant{Name: "new", Database: "new", User: "mixed", Cluster: "other"},
		tenants.Tenant{Name: "gone", Database: "gone", User: "gone", State: tenants.Suspended},
	)
	open := snapshot(t,
		tenants.Tenant{Name: "acme", Database: "acme", User: "acme"},
		tenants.Tenant{Name: "*", Cluster: "other", Limits: tenants.Limits{PoolSize: 3}},
	)
	own := snapshot(t,
		tenants.Tenant{Name: "postgres", Database: "postgres", User: "dba", Cluster: "other"},
		tenants.Tenant{Name: "acme", Database: "acme", User: "acme"},
	)
	type want struct {
		name, database, user, cluster string
		poolSize                      int
		state                         tenants.State
	}
	for name, c := range map[string]struct {
		in             *tenants.Snapshot
		database, user string
		want           *want // nil = not found
	}{
		"by name":                               {plain, "acme", "acme", &want{"acme", "acme_db", "acme", "main", 7, 0}},
		"by name, as anybody":                   {plain, "acme", "reporter", &want{"acme", "acme_db", "acme", "main", 7, 0}},
		"not by database":                       {plain, "acme_db", "acme", nil},
		"unknown":                               {plain, "initech", "acme", nil},
		"nothing asked":                         {plain, "", "acme", nil},
		"case counts":                           {plain, "ACME", "acme", nil},
		"postgres of a tenant's role":           {plain, "postgres", "globex", &want{"postgres", "postgres", "globex", "other", 0, 0}},
		"postgres of a role with several":       {plain, "postgres", "acme", &want{"postgres", "postgres", "acme", "main", 7, 0}},
		"postgres of a role, active one first":  {plain, "postgres", "mixed", &want{"postgres", "postgres", "mixed", "other", 0, 0}},
		"postgres of a role that is shut out":   {plain, "postgres", "gone", &want{"postgres", "postgres", "gone", "main", 0, tenants.Suspended}},
		"postgres of a stranger":                {plain, "postgres", "reporter", nil},
		"postgres of nobody":                    {plain, "postgres", "", nil},
		"the star is no name":                   {plain, "*", "acme", nil},
		"fallback":                              {open, "initech", "anybody", &want{"initech", "initech", "", "other", 3, 0}},
		"fallback leaves tenants alone":         {open, "acme", "anybody", &want{"acme", "acme", "acme", "main", 0, 0}},
		"fallback for the star itself":          {open, "*", "anybody", &want{"*", "*", "", "other", 3, 0}},
		"fallback not for nothing":              {open, "", "anybody", nil},
		"fallback not for long names":           {open, strings.Repeat("x", 64), "anybody", nil},
		"fallback for the longest name":         {open, strings.Repeat("x", 63), "anybody", &want{strings.Repeat("x", 63), strings.Repeat("x", 63), "", "other", 3, 0}},
		"postgres goes to the role, not to *":   {open, "postgres", "acme", &want{"postgres", "postgres", "acme", "main", 0, 0}},
		"postgres of a stranger goes to *":      {open, "postgres", "anybody", &want{"postgres", "postgres", "", "other", 3, 0}},
		"postgres as a tenant of its own":       {own, "postgres", "acme", &want{"postgres", "postgres", "dba", "other", 0, 0}},
		"postgres as a tenant, by its own role": {own, "postgres", "dba", &want{"postgres", "postgres", "dba", "other", 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := c.in.Lookup(c.database, c.user)
			if c.want == nil {
				if ok || got != nil {
					t.Fatalf("found %+v", got)
				}
				return
			}
			if !ok {
				t.Fatal("not found")
			}
			if have := (want{got.Name, got.Database, got.User, got.Cluster, got.Limits.PoolSize, got.State}); have != *c.want {
				t.Fatalf("%+v, want %+v", have, *c.want)
			}
			if again, _ := c.in.Lookup(c.database, c.user); again != got {
				t.Fatal("the second look-up gives another pointer")
			}
		})
	}
}

func TestLookupKeepsPostgresOfEachRoleApart(t *testing.T) {
	s := snapshot(t, tenants.Tenant{Name: "acme", User: "acme"}, tenants.Tenant{Name: "globex", User: "globex"})
	a, _ := s.Lookup("postgres", "acme")
	g, _ := s.Lookup("postgres", "globex")
	if a == nil || g == nil || a == g {
		t.Fatalf("acme has %p, globex %p", a, g)
	}
}

func TestLookupFromManyThreadsAgrees(t *testing.T) {
	s := snapshot(t, tenants.Tenant{Name: "acme", User: "acme"}, tenants.Tenant{Name: "*"})
	const threads, names = 8, 200
	var found [threads][names + 1]*tenants.Tenant
	var wg sync.WaitGroup
	for i := range threads {
		wg.Go(func() {
			for n := range names {
				found[i][n], _ = s.Lookup(fmt.Sprintf("db%d", n), "x")
			}
			found[i][names], _ = s.Lookup("postgres", "acme")
		})
	}
	wg.Wait()
	for i := range threads {
		if found[i] != found[0] {
			t.Fatalf("thread %d found other pointers than thread 0", i)
		}
	}
	for n, tn := range found[0] {
		if tn == nil {
			t.Fatalf("name %d was not found", n)
		}
	}
}

func TestLookupRefusesStrangersBeyondTheCap(t *testing.T) {
	s := snapshot(t, tenants.Tenant{Name: "acme", User: "acme"}, tenants.Tenant{Name: "*"})
	const most = 100_000
	for n := range most {
		if _, ok := s.Lookup(fmt.Sprintf("db%d", n), "x"); !ok {
			t.Fatalf("name %d of %d was refused", n, most)
		}
	}
	if _, ok := s.Lookup("one-more", "x"); ok {
		t.Error("one name too many was accepted")
	}
	for _, name := range []string{"db0", "acme"} {
		if _, ok := s.Lookup(name, "x"); !ok {
			t.Errorf("%s is refused because others filled the table", name)
		}
	}
	if _, ok := s.Lookup("postgres", "acme"); !ok {
		t.Error("postgres is refused because others filled the table")
	}
}

func TestClusterOfFindsWhatLookupWould(t *testing.T) {
	all := []tenants.Tenant{{Name: "acme", User: "anna"}, {Name: "globex", User: "bob", Cluster: "other"}}
	for _, fallback := range []bool{false, true} {
		if fallback {
			all = append(all, tenants.Tenant{Name: "*", Cluster: "other"})
		}
		s := snapshot(t, all...)
		for _, database := range []string{"acme", "globex", "postgres", "nowhere", ""} {
			for _, user := range []string{"anna", "bob", "nobody"} {
				want := ""
				if tn, ok := s.Lookup(database, user); ok {
					want = tn.Cluster
				}
				c, ok := s.ClusterOf(database, user)
				if database != "" && (ok != (want != "") || ok && c.Name != want) {
					t.Errorf("%q as %q, fallback %v: %v, want %q", database, user, fallback, c, want)
				}
			}
		}
	}
}

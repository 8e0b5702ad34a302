package tenants_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/tenants"
)

const (
	scram = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
	md5   = "md50123456789abcdef0123456789abcdef"
)

// snapshot makes a Snapshot with clusters "main" and "other" of the given
// tenants, each on main unless it says otherwise.
func snapshot(t testing.TB, all ...tenants.Tenant) *tenants.Snapshot {
	t.Helper()
	for i := range all {
		if all[i].Cluster == "" {
			all[i].Cluster = "main"
		}
	}
	clusters := []tenants.Cluster{{Name: "main"}, {Name: "other"}}
	s, err := tenants.NewSnapshot(clusters, []tenants.Tier{{Name: "gold"}}, all, []tenants.User{{Name: "acme", Verifier: scram}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSnapshotFindsByName(t *testing.T) {
	s := snapshot(t, tenants.Tenant{Name: "acme", Tier: "gold"}, tenants.Tenant{Name: "globex", Cluster: "other"})
	if c, ok := s.Cluster("other"); !ok || c.Name != "other" {
		t.Errorf("Cluster: %v, %v", c, ok)
	}
	if g, ok := s.Tier("gold"); !ok || g.Name != "gold" {
		t.Errorf("Tier: %v, %v", g, ok)
	}
	if u, ok := s.User("acme"); !ok || u.Verifier != scram {
		t.Errorf("User: %v, %v", u, ok)
	}
	for what, found := range map[string]bool{
		"cluster": second(s.Cluster("x")), "tier": second(s.Tier("")), "user": second(s.User("globex")),
	} {
		if found {
			t.Errorf("found a %s that does not exist", what)
		}
	}
}

func second[T any](_ T, ok bool) bool { return ok }

func TestSnapshotYieldsInOrderWithoutTheFallback(t *testing.T) {
	s := snapshot(t, tenants.Tenant{Name: "c"}, tenants.Tenant{Name: "*"}, tenants.Tenant{Name: "a"}, tenants.Tenant{Name: "b"})
	s.Lookup("made-on-demand", "x")
	var names []string
	for tn := range s.Tenants() {
		names = append(names, tn.Name)
	}
	if want := []string{"c", "a", "b"}; !slices.Equal(names, want) {
		t.Errorf("tenants %v, want %v", names, want)
	}
	names = nil
	for c := range s.Clusters() {
		names = append(names, c.Name)
		break // a yield that is told to stop must stop
	}
	if !slices.Equal(names, []string{"main"}) {
		t.Errorf("clusters %v", names)
	}
	if n := len(slices.Collect(s.Users())) + len(slices.Collect(s.Tiers())); n != 2 {
		t.Errorf("%d users and tiers, want 2", n)
	}
}

func TestSnapshotKeepsItsOwnCopies(t *testing.T) {
	clusters := []tenants.Cluster{{Name: "main", Members: []tenants.Member{{Address: "a:1"}}}}
	all := []tenants.Tenant{{Name: "acme", Cluster: "main"}}
	s, err := tenants.NewSnapshot(clusters, nil, all, nil)
	if err != nil {
		t.Fatal(err)
	}
	clusters[0].Members[0].Address = "b:2"
	all[0].Cluster = "gone"
	if c, _ := s.Cluster("main"); c.Members[0].Address != "a:1" {
		t.Errorf("member became %q", c.Members[0].Address)
	}
	if tn, _ := s.Lookup("acme", "acme"); tn.Cluster != "main" {
		t.Errorf("cluster became %q", tn.Cluster)
	}
}

func TestNewSnapshotNamesEveryBadEntry(t *testing.T) {
	clusters := []tenants.Cluster{{Name: "main"}, {Name: "main"}, {}}
	tiers := []tenants.Tier{{Name: "gold"}, {Name: "gold"}}
	all := []tenants.Tenant{
		{Name: "acme", Cluster: "main"},
		{Name: "acme", Cluster: "main"},
		{Name: "lost", Cluster: "nowhere"},
		{Name: "poor", Cluster: "main", Tier: "tin"},
	}
	users := []tenants.User{{Name: "bob", Verifier: "hunter2"}, {Name: "bob"}}
	_, err := tenants.NewSnapshot(clusters, tiers, all, users)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`two entries for cluster "main"`, "cluster 3 has no name", `two entries for tier "gold"`,
		`two entries for tenant "acme"`, `tenant "lost": no cluster "nowhere"`, `tenant "poor": no tier "tin"`,
		`user "bob": verifier`, `two entries for user "bob"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error repeats a password")
	}
}

func TestCheckVerifier(t *testing.T) {
	for name, c := range map[string]struct {
		verifier string
		ok       bool
	}{
		"scram":                {scram, true},
		"md5":                  {md5, true},
		"empty":                {"", false},
		"password":             {"correct horse", false},
		"password of 35 bytes": {"md5 is how I store my secret phrases", false},
		"md5 in capitals":      {strings.ToUpper(md5), false},
		"md5 of capitals":      {"md5" + strings.ToUpper(md5[3:]), false},
		"md5 not hexadecimal":  {"md5" + strings.Repeat("z", 32), false},
		"md5 too long":         {md5 + "0", false},
		"scram without keys":   {"SCRAM-SHA-256$4096:c2FsdA==", false},
		"scram zero rounds":    {strings.Replace(scram, "4096", "0", 1), false},
		"scram no base64":      {strings.Replace(scram, "c2Fsd", "!!!!!", 1), false},
		"scram short key":      {strings.Replace(scram, "AAAAAAAA", "", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			err := tenants.CheckVerifier(c.verifier)
			if (err == nil) != c.ok {
				t.Fatalf("CheckVerifier: %v, want ok %v", err, c.ok)
			}
			if err != nil && c.verifier != "" && strings.Contains(err.Error(), c.verifier) {
				t.Fatalf("the error repeats the secret: %v", err)
			}
		})
	}
}

func TestModesAndStatesReadWhatTheyWrite(t *testing.T) {
	for _, m := range []tenants.PoolMode{tenants.Transaction, tenants.Session, tenants.Statement} {
		if got, err := tenants.ParsePoolMode(m.String()); err != nil || got != m {
			t.Errorf("%v: read back as %v, %v", m, got, err)
		}
	}
	for _, s := range []tenants.State{tenants.Active, tenants.Suspended} {
		if got, err := tenants.ParseState(s.String()); err != nil || got != s {
			t.Errorf("%v: read back as %v, %v", s, got, err)
		}
	}
	for _, bad := range []string{"", "Transaction", "PoolMode(3)"} {
		if _, err := tenants.ParsePoolMode(bad); err == nil {
			t.Errorf("ParsePoolMode(%q) found a mode", bad)
		}
		if _, err := tenants.ParseState(bad); err == nil {
			t.Errorf("ParseState(%q) found a state", bad)
		}
	}
	if s := tenants.PoolMode(9).String(); s != "PoolMode(9)" {
		t.Errorf("an impossible mode prints %q", s)
	}
}

func TestMemberNetwork(t *testing.T) {
	for address, want := range map[string]string{"10.0.0.1:5432": "tcp", "/run/.s.PGSQL.5432": "unix", "[::1]:5432": "tcp"} {
		if got := (tenants.Member{Address: address}).Network(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// A hundred thousand tenants are read and looked up in a blink; nothing walks
// over them per look-up.
func TestSnapshotOfManyTenants(t *testing.T) {
	all := make([]tenants.Tenant, 100_000)
	for i := range all {
		name := fmt.Sprintf("tenant%d", i)
		all[i] = tenants.Tenant{Name: name, User: name, Cluster: "main"}
	}
	s := snapshot(t, all...)
	begin := time.Now()
	for i := range all {
		if tn, ok := s.Lookup(all[i].Name, all[i].User); !ok || tn.Name != all[i].Name {
			t.Fatalf("%s: %v, %v", all[i].Name, tn, ok)
		}
	}
	// A walk per look-up would take minutes; the bound is far from either.
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("100,000 look-ups took %v", took)
	}
}

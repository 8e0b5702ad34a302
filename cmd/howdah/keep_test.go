package main

import (
	"testing"
	"time"

	"howdah/backup/keep"
)

func TestPolicyIsTheWidestOfTheTenants(t *testing.T) {
	head := `
[backup]
store = "file:///x"
recipients = ["age1xmwwc06ly3ee5rytxm9mflaz2u56jjj36s0mypdrwsvlul66mv4q47ryef"]
base_interval = "24h"
keep_base = 3
keep_window = "48h"
[[cluster]]
name = "main"
members = ["127.0.0.1:5442"]
[[cluster]]
name = "other"
members = ["127.0.0.1:5443"]
[[tier]]
name = "gold"
base_interval = "6h"
keep_window = "720h"
[[tier]]
name = "small"
keep_base = 1
keep_window = "24h"
base_interval = "168h"
[[user]]
name = "acme"
verifier = "` + scramVerifier + `"
`
	tenant := func(name, more string) string {
		return "[[tenant]]\nname = \"" + name + "\"\nuser = \"acme\"\ncluster = \"main\"\n" + more + "\n"
	}
	small := tenant("a", "tier = \"small\"")
	for name, c := range map[string]struct {
		tenants  string
		want     keep.Policy
		interval time.Duration
	}{
		"no tenants":    {"", keep.Policy{Count: 3, Window: 48 * time.Hour}, 24 * time.Hour},
		"no tier":       {tenant("a", ""), keep.Policy{Count: 3, Window: 48 * time.Hour}, 24 * time.Hour},
		"all are small": {small, keep.Policy{Count: 1, Window: 24 * time.Hour}, 168 * time.Hour},
		"one is not":    {small + tenant("b", ""), keep.Policy{Count: 3, Window: 48 * time.Hour}, 24 * time.Hour},
		"one is gold":   {small + tenant("b", "tier = \"gold\""), keep.Policy{Count: 3, Window: 720 * time.Hour}, 6 * time.Hour},
		"a promise":     {small + tenant("b", "tier = \"small\"\nbackup_retention = \"30h\""), keep.Policy{Count: 1, Window: 30 * time.Hour}, 168 * time.Hour},
	} {
		config, err := parseConfig("x", t.TempDir(), head+c.tenants)
		if err != nil {
			t.Fatal(err)
		}
		s, err := config.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if policy, interval := config.policyOf(s, "main"); policy != c.want || interval != c.interval {
			t.Errorf("%s: %+v, %s", name, policy, interval)
		}
		if policy, interval := config.policyOf(s, "other"); policy.Count != 3 || interval != 24*time.Hour {
			t.Errorf("%s: the other cluster has %+v, %s", name, policy, interval)
		}
	}
}

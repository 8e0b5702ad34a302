package provision_test

import (
	"testing"

	"howdah/provision"
)

// A role's settings are made, changed and taken away, and hold for its sessions. What
// somebody else has set stays.
func testConfigure(t *testing.T, c *cluster) {
	create := newCreate(tenantA, "1", "acme")
	create.Settings = nil
	c.apply(t, create)
	op := provision.Configure{ID: tenantA, Role: "acme", Wanted: map[string]string{"work_mem": "65536kB", "temp_file_limit": "1048576kB"}}
	c.apply(t, op)
	shows := func(want ...string) {
		t.Helper()
		conn, err := c.into("acme", "acme")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		for i, name := range []string{"work_mem", "temp_file_limit", "statement_timeout", "idle_in_transaction_session_timeout"} {
			if got := textOf(t, conn, "SHOW "+name); got != want[i] {
				t.Errorf("%s is %s, want %s", name, got, want[i])
			}
		}
	}
	shows("64MB", "1GB", "0", "0")
	c.as(t, "acme", "acme", "ALTER ROLE acme RESET ALL", "ALTER ROLE acme IN DATABASE acme SET statement_timeout = '1h'")

	given := map[string][]string{"work_mem": {"65536kB"}, "temp_file_limit": {"1048576kB"}}
	c.exec(t, "ALTER DATABASE acme SET idle_in_transaction_session_timeout = '2h'")
	c.apply(t, provision.Suspend{ID: tenantA}, provision.Configure{ID: tenantA, Role: "acme", Given: given, Wanted: map[string]string{
		"work_mem": "1024kB", "statement_timeout": "30000ms", "idle_in_transaction_session_timeout": "1000ms",
	}}, provision.Resume{ID: tenantA})
	shows("1MB", "-1", "1h", "2h")

	c.apply(t, provision.Configure{ID: tenantA, Role: "acme", Given: map[string][]string{"work_mem": {"1024kB"}}})
	shows("4MB", "-1", "1h", "2h")
}

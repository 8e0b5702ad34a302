package main

import (
	"slices"
	"strings"
	"testing"
)

// shown returns what SHOW CONFIG has under a key.
func shown(t *testing.T, c *Config, key string) string {
	t.Helper()
	for _, s := range c.Settings() {
		if s.Key == key {
			return s.Value
		}
	}
	t.Fatalf("no setting %q", key)
	return ""
}

func TestWithSetsWhatMayChange(t *testing.T) {
	c := mustLoad(t, fullConfig)
	for _, step := range []struct{ key, value, want string }{
		{"default_pool_size", "12", "12"},
		{"pool_size", "13", "13"}, // as the file calls it
		{"query_wait_timeout", "7", "7"},
		{"query_timeout", "1m30s", "90"},
		{"max_packet_size", "1MB", "1048576"},
		{"max_packet_size", "2097152", "2097152"},
		{"log_level", "warn", "warn"},
		{"tcp_keepalive", "1", "1"},
		{"admin_users", "root, monitor", "root,monitor"},
		{"pool_mode", "session", "session"},
		{"server_check_query", "select 'it''s'", "select 'it''s'"},
	} {
		next, err := c.With(step.key, step.value)
		if err != nil {
			t.Fatalf("SET %s = %s: %v", step.key, step.value, err)
		}
		s, _ := settingOf(step.key)
		if got := shown(t, next, s.key()); got != step.want {
			t.Errorf("SET %s = %s: shown as %q, want %q", step.key, step.value, got, step.want)
		}
		if len(c.Diff(next)) > 0 {
			t.Errorf("SET %s changes %v too", step.key, c.Diff(next))
		}
		c = next
	}
	// One does not undo the other, and tenants inherit what they do not give.
	if got := shown(t, c, "default_pool_size"); got != "13" {
		t.Errorf("default_pool_size is %s at the end", got)
	}
	limits := map[string]int{}
	for _, tenant := range c.Tenants {
		limits[tenant.Name] = tenant.Limits.PoolSize
	}
	if limits["acme"] != 30 || limits["globex"] != 13 || limits["*"] != 13 {
		t.Errorf("pool sizes: %v", limits)
	}
	if again := mustLoad(t, fullConfig); shown(t, again, "default_pool_size") != "10" {
		t.Error("the file's value does not come back")
	}
}

func TestWithRefusesTheRest(t *testing.T) {
	c := mustLoad(t, fullConfig)
	for _, step := range []struct{ key, value, want string }{
		{"listen_addr", "127.0.0.1:1", "cannot change while running"},
		{"loops", "4", "cannot change while running"},
		{"default_pool_sise", "4", `did you mean "default_pool_size"?`},
		{"elephants", "4", "SHOW CONFIG lists them"},
		{"verifier", "x", "SHOW CONFIG lists them"},
		{"default_pool_size", "-1", "write a whole number"},
		{"default_pool_size", "many", "write a whole number"},
		{"query_timeout", "soon", "write a duration"},
		{"pool_mode", "fast", "transaction"},
		{"tcp_keepalive", "perhaps", "write true or false"},
		{"client_tls_sslmode", "require", "tls_cert_file"},
	} {
		_, err := c.With(step.key, step.value)
		if err == nil || !strings.Contains(err.Error(), step.want) {
			t.Errorf("SET %s = %s: %v, want %q", step.key, step.value, err, step.want)
		}
	}
}

// TestEveryChangeableSettingCanBeSet sets each to what it is.
func TestEveryChangeableSettingCanBeSet(t *testing.T) {
	c := mustLoad(t, fullConfig)
	for _, row := range c.Settings() {
		next, err := c.With(row.Key, row.Value)
		if (err == nil) != row.Changeable {
			t.Errorf("%s is changeable (%v), and SET says: %v", row.Key, row.Changeable, err)
		}
		if err == nil && !slices.Equal(next.Settings(), c.Settings()) {
			t.Errorf("SET %s = %s changes something", row.Key, row.Value)
		}
	}
}

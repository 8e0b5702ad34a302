package router_test

import (
	"fmt"
	"strings"
	"testing"

	"howdah/tenants"
	"howdah/wire"
)

// TestRealListener tests who listens for all.
func TestRealListener(t *testing.T) {
	h := startHouse(t)
	h.sql(t, "create role howdah login superuser password 'own'", "grant connect on database postgres to acme")
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"ListensAsItsOwnRole", testListensAsItsOwnRole},
		{"ListensAsTheTenant", testListensAsTheTenant},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

func adminURL(url string) func(*setup) {
	return func(s *setup) { s.cluster.AdminURL = url }
}

// listenerRole returns the role that listens, "" for none.
func listenerRole(t *testing.T, h *house) string {
	t.Helper()
	return ask[string](t, h, "select coalesce(max(usename), '') from pg_stat_activity where application_name = 'howdah listener'")
}

// shared logs acme in to the shared database.
func (d *door) shared(t *testing.T) *raw {
	t.Helper()
	c := d.dialConfig("acme")
	c.Parameters = []wire.Parameter{{Name: "user", Value: "acme"}, {Name: "database", Value: tenants.Shared}}
	r := newRaw(dial(t, c))
	t.Cleanup(func() { r.Conn.Close() })
	return r
}

// testListensAsItsOwnRole: no tenant can end the connection on which all of
// them listen.
func testListensAsItsOwnRole(t *testing.T, h *house) {
	for name, url := range map[string]string{
		"password": h.URL("howdah", "own", "postgres"), "socket": h.AdminURL("postgres"),
	} {
		t.Run(name, func(t *testing.T) {
			d := h.open(t, adminURL(url), func(s *setup) { s.config.Loops = 1 })
			r := d.shared(t)
			r.expect(t, "LISTEN; ready I", query("listen news"))
			want := map[string]string{"password": "howdah", "socket": "postgres"}[name]
			if got := listenerRole(t, h); got != want {
				t.Fatalf("%q listens, want %q", got, want)
			}
			if lines := d.log.lines("cannot listen"); len(lines) > 0 {
				t.Errorf("it is complained of: %s", lines)
			}
			pid := ask[int](t, h, "select pid from pg_stat_activity where application_name = 'howdah listener'")
			r.expect(t, "error 42501; ready I", query(fmt.Sprintf("select pg_terminate_backend(%d)", pid)))
			r.expect(t, "NOTIFY; note news still; ready I", query("notify news, 'still'"))
		})
	}
}

// testListensAsTheTenant: where the own role cannot log in, LISTEN still works,
// and the log says what to do.
func testListensAsTheTenant(t *testing.T, h *house) {
	for name, url := range map[string]string{
		"wrong password": h.URL("howdah", "wrong", "postgres"),
		"no password":    h.URL("howdah", "", "postgres"),
		"no such role":   h.URL("nobody", "x", "postgres"),
		"no URL at all":  "postgres://[",
	} {
		t.Run(name, func(t *testing.T) {
			d := h.open(t, adminURL(url))
			r := d.raw(t)
			r.expect(t, "LISTEN; ready I", query("listen news"))
			r.expect(t, "NOTIFY; note news one; ready I", query("notify news, 'one'"))
			if got := listenerRole(t, h); got != "acme" {
				t.Errorf("%q listens", got)
			}
			if lines := d.log.lines("level=WARN.*admin_url"); len(lines) != 1 || strings.Contains(lines[0], "wrong@") {
				t.Errorf("warned of it with %q", lines)
			}
		})
	}
}

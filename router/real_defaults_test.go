package router_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire"
)

// TestRealDefaults tests that sessions start with what ALTER ROLE, ALTER
// DATABASE and ALTER SYSTEM have changed through the router, in front of one
// PostgreSQL.
func TestRealDefaults(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"AlteredDefaults", testAlteredDefaults},
		{"AlteredDefaultsOfReportedSettings", testAlteredDefaultsOfReportedSettings},
		{"AlteredDefaultsConcernTheirRoleOnly", testAlteredDefaultsConcernTheirRoleOnly},
		{"AlteredDefaultsOfOthers", testAlteredDefaultsOfOthers},
		{"ReloadedDefaults", testReloadedDefaults},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// testAlteredDefaults changes them in all the ways in which a transaction can
// be told to. Several follow each other within the pause between renewals: the
// last counts, as soon as the pause is over.
func testAlteredDefaults(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	by := d.raw(t)
	ask := query("show work_mem")
	d.raw(t).expect(t, "row 4MB; SHOW; ready I", ask)
	for _, c := range []struct {
		name, value string
		messages    []pgproto3.FrontendMessage
	}{
		{"role", "5MB", []pgproto3.FrontendMessage{query("alter role acme set work_mem = '5MB'")}},
		{"role again", "6MB", []pgproto3.FrontendMessage{query("alter user current_user set work_mem = '6MB'")}},
		{"extended protocol", "7MB", []pgproto3.FrontendMessage{
			parse("", "alter role acme set work_mem = '7MB'"), bind(""), execute, syncMsg,
		}},
		{"transaction", "8MB", []pgproto3.FrontendMessage{
			query("begin"), query("alter role acme set work_mem = '8MB'"), query("commit"),
		}},
		{"pipeline", "9MB", []pgproto3.FrontendMessage{
			parse("", "begin"), bind(""), execute,
			parse("", "alter role acme in database acme set work_mem = '9MB'"), bind(""), execute,
			parse("", "commit"), bind(""), execute, syncMsg,
		}},
		{"several statements", "10MB", []pgproto3.FrontendMessage{
			query("select 1; alter role acme in database acme set work_mem = '10MB'; select 2"),
		}},
		{"role reset", "4MB", []pgproto3.FrontendMessage{
			query("alter role acme in database acme reset all; alter role acme reset all"),
		}},
		{"database", "11MB", []pgproto3.FrontendMessage{query("alter database acme set work_mem = '11MB'")}},
		{"database reset", "4MB", []pgproto3.FrontendMessage{query("alter database acme reset all")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			by.say(t, c.messages...)
			d.newSessions(t, "work_mem", c.value)
			by.expect(t, "row "+c.value+"; SHOW; ready I", ask)
		})
	}
}

// newSessions waits until a new session of acme's starts with a setting's value,
// and wants it of those that follow.
func (d *door) newSessions(t *testing.T, setting, value string, parameters ...wire.Parameter) {
	t.Helper()
	var got string
	read := func() string {
		r := d.raw(t, parameters...)
		defer r.Conn.Close()
		return r.say(t, query("show "+setting))[0]
	}
	if !poll(func() bool { got = read(); return got == "row "+value }) {
		t.Fatalf("%s of a new session is %q, want %q", setting, got, value)
	}
	for range 3 {
		if got = read(); got != "row "+value {
			t.Fatalf("%s of one more session is %q, want %q", setting, got, value)
		}
	}
}

// testAlteredDefaultsOfReportedSettings are told to new clients, with settings
// of their own or without; who was there before keeps what it was told.
func testAlteredDefaultsOfReportedSettings(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	own := wire.Parameter{Name: "application_name", Value: "mine"}
	early := d.raw(t)
	d.raw(t, own)
	before := early.told["TimeZone"]
	early.expect(t, "ALTER ROLE; ready I", query("alter role acme set timezone = 'Asia/Tokyo'"))
	d.newSessions(t, "timezone", "Asia/Tokyo")
	d.newSessions(t, "timezone", "Asia/Tokyo", own)
	for range 2 {
		late := d.raw(t, own)
		if late.told["TimeZone"] != "Asia/Tokyo" {
			t.Errorf("a new client is told %q", late.told["TimeZone"])
		}
		late.expect(t, "row Asia/Tokyo; SHOW; ready I", query("show timezone"))
		early.expect(t, "row "+before+"; SHOW; ready I", query("show timezone"))
	}
	early.expect(t, "ALTER ROLE; ready I", query("alter role acme reset all"))
	d.newSessions(t, "timezone", before)
}

// testAlteredDefaultsConcernTheirRoleOnly has a role alter itself over and over:
// its own servers are replaced once a second at most, those of others never.
func testAlteredDefaultsConcernTheirRoleOnly(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	other, err := d.tryRaw("globex")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	server := query("select pg_backend_pid()")
	before := other.say(t, server)[0]
	by := d.raw(t)
	pids := map[string]bool{}
	const times = 100
	for range times {
		by.expect(t, "ALTER ROLE; ready I", query("alter role acme set work_mem = '5MB'"))
		pids[by.say(t, server)[0]] = true
	}
	if len(pids) > times/2 {
		t.Errorf("%d servers for %d alterations", len(pids), times)
	}
	by.expect(t, "ALTER ROLE; ready I", query("alter role acme reset all"))
	d.newSessions(t, "work_mem", "4MB")
	if after := other.say(t, server)[0]; after != before {
		t.Errorf("the other tenant's server was %q and is %q", before, after)
	}
}

// testAlteredDefaultsOfOthers has a superuser alter another tenant's role.
func testAlteredDefaultsOfOthers(t *testing.T, h *house) {
	h.sql(t, "alter role globex superuser")
	defer h.sql(t, "alter role globex nosuperuser")
	d := h.open(t, poolSize(1))
	d.newSessions(t, "work_mem", "4MB")
	super, err := d.tryRaw("globex")
	if err != nil {
		t.Fatal(err)
	}
	defer super.Close()
	super.expect(t, "ALTER ROLE; ready I", query("alter role acme set work_mem = '5MB'"))
	d.newSessions(t, "work_mem", "5MB")
	super.expect(t, "ALTER ROLE; ready I", query("alter role acme reset all"))
	d.newSessions(t, "work_mem", "4MB")
}

// testReloadedDefaults has PostgreSQL read its configuration again. Settings that
// it reports are told to new clients as they are now.
func testReloadedDefaults(t *testing.T, h *house) {
	h.sql(t, "alter role globex superuser")
	defer h.sql(t, "alter role globex nosuperuser", "alter system reset all", "select pg_reload_conf()")
	d := h.open(t, poolSize(1))
	d.newSessions(t, "timezone", "Etc/UTC")
	super, err := d.tryRaw("globex")
	if err != nil {
		t.Fatal(err)
	}
	defer super.Close()
	for _, c := range []struct{ sql, zone string }{
		{"alter system set timezone = 'Asia/Tokyo'", "Asia/Tokyo"},
		{"alter system reset timezone", "Etc/UTC"},
	} {
		super.say(t, query(c.sql))
		super.say(t, query("select pg_reload_conf()"))
		var told string
		if !poll(func() bool {
			r := d.raw(t)
			defer r.Conn.Close()
			told = r.told["TimeZone"]
			return told == c.zone
		}) {
			t.Fatalf("a new client is told %q, want %q", told, c.zone)
		}
		d.newSessions(t, "timezone", c.zone)
	}
}

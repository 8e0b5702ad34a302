package router_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"howdah/wire"
)

// TestRealSettings tests settings asked for at login, in front of one PostgreSQL.
func TestRealSettings(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"SettingsAtStartup", testSettingsAtStartup},
		{"BadSettingsAreRefusedAtLogin", testBadSettingsAreRefusedAtLogin},
		{"SettingsOfManyClientsStayApart", testSettingsOfManyClientsStayApart},
		{"FailedSettingDoesNotRunTheStatement", testFailedSettingDoesNotRunTheStatement},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// testSettingsAtStartup are in force for the client that asked for them, told
// to it, and nobody else's.
func testSettingsAtStartup(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	for _, c := range []struct{ parameter, value, setting, want string }{
		{"application_name", "first one", "application_name", "first one"},
		{"client_encoding", "LATIN1", "client_encoding", "LATIN1"},
		{"DateStyle", "German", "DateStyle", "German, DMY"},
		{"datestyle", "SQL, DMY", "DateStyle", "SQL, DMY"},
		{"TimeZone", "Asia/Tokyo", "TimeZone", "Asia/Tokyo"},
		{"IntervalStyle", "iso_8601", "IntervalStyle", "iso_8601"},
		{"search_path", "pg_catalog", "search_path", "pg_catalog"},
		{"statement_timeout", "12345", "statement_timeout", "12345ms"},
		{"my.own", "a b\\c'd", "my.own", "a b\\c'd"},
		{"options", "-c work_mem=7MB", "work_mem", "7MB"},
		{"options", "-cwork_mem=8MB -c geqo=off", "work_mem", "8MB"},
		{"options", "--work-mem=9MB", "work_mem", "9MB"},
		{"options", `-c my.words=two\ words`, "my.words", "two words"},
	} {
		t.Run(c.parameter+"="+c.value, func(t *testing.T) {
			plain := d.raw(t)
			before := plain.say(t, query("select current_setting('"+c.setting+"', true)"))[0]
			for range 2 {
				r := d.raw(t, wire.Parameter{Name: c.parameter, Value: c.value})
				r.expect(t, "row "+c.want+"; SELECT 1; ready I", query("select current_setting('"+c.setting+"', true)"))
				if told, ok := r.told[c.setting]; ok && told != c.want {
					t.Errorf("told %q", told)
				}
				after := plain.say(t, query("select current_setting('"+c.setting+"', true)"))[0]
				// What was never set reads '' from now on, not null: both are empty here.
				if after != before {
					t.Errorf("another client read %q before and %q now", before, after)
				}
				r.expect(t, "row "+c.want+"; SELECT 1; ready I", query("select current_setting('"+c.setting+"', true)"))
				r.expect(t, "DISCARD ALL; ready I", query("discard all"))
				r.expect(t, "row "+c.want+"; SELECT 1; ready I", query("select current_setting('"+c.setting+"', true)"))
			}
		})
	}
}

// testBadSettingsAreRefusedAtLogin with PostgreSQL's own words, and leave
// nothing at the server.
func testBadSettingsAreRefusedAtLogin(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	for _, c := range []struct{ parameter, value, code string }{
		{"client_encoding", "KLINGON", "22023"},
		{"DateStyle", "never", "22023"},
		{"TimeZone", "Mars/Olympus", "22023"},
		{"work_mem", "lots", "22023"},
		{"nonsense", "1", "42704"},
		{"log_statement", "all", "42501"},
		{"options", "-c nonsense=1", "42704"},
		{"options", "-c statement_timeout=forever", "22023"},
		{"max_connections", "5", "55P02"},
	} {
		t.Run(c.parameter+"="+c.value, func(t *testing.T) {
			for range 2 {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				e, err := wire.Dial(ctx, d.dialConfig("acme", wire.Parameter{Name: c.parameter, Value: c.value}))
				cancel()
				if err == nil {
					e.Conn.Close()
				}
				wantState(t, err, c.code)
			}
			d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
		})
	}
	d.atRest(t)
}

// testSettingsOfManyClientsStayApart has clients with different application
// names, time zones and date styles take turns on two servers.
func testSettingsOfManyClientsStayApart(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	zones := []string{"UTC", "Asia/Tokyo", "America/New_York", "Europe/Berlin", ""}
	styles := []string{"ISO, MDY", "German, DMY", "", "SQL, DMY"}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			zone, style := zones[i%len(zones)], styles[i%len(styles)]
			if err := keepSettings(d, fmt.Sprint("app ", i), zone, style); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func keepSettings(d *door, name, zone, style string) error {
	parameters := []wire.Parameter{{Name: "application_name", Value: name}}
	if zone != "" {
		parameters = append(parameters, wire.Parameter{Name: "TimeZone", Value: zone})
	}
	if style != "" {
		parameters = append(parameters, wire.Parameter{Name: "DateStyle", Value: style})
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := wire.Dial(ctx, d.dialConfig("acme", parameters...))
	if err != nil {
		return err
	}
	r := newRaw(e)
	defer r.Close()
	want := strings.Join([]string{"row " + name, name, r.told["TimeZone"], r.told["DateStyle"]}, "|")
	if r.told["application_name"] != name || zone != "" && r.told["TimeZone"] != zone || style != "" && r.told["DateStyle"] != style {
		return fmt.Errorf("client %q was told %v", name, r.told)
	}
	const ask = `select current_setting('application_name'), (select application_name from pg_stat_activity where pid = pg_backend_pid()),
		current_setting('TimeZone'), current_setting('DateStyle')`
	for k := range 60 {
		var got []string
		if k%2 == 0 {
			got, err = r.talk(query(ask))
		} else {
			got, err = r.talk(parse("", ask), bind(""), execute, syncMsg)
			got = got[min(2, len(got)):]
		}
		if err != nil || got[0] != want {
			return fmt.Errorf("wanted %q and got %q, %w", want, got, err)
		}
	}
	return nil
}

// testFailedSettingDoesNotRunTheStatement lets a setting of the session become
// impossible before it is replayed on another server.
func testFailedSettingDoesNotRunTheStatement(t *testing.T, h *house) {
	h.sql(t, "create table ran (n int)", "grant all on ran to acme", "grant set on parameter log_statement to acme")
	d := h.open(t, poolSize(1))
	r := d.raw(t, wire.Parameter{Name: "log_statement", Value: "all"})
	d.raw(t).say(t, query("select 1")) // its settings differ: the server's change
	h.sql(t, "revoke set on parameter log_statement from acme")
	r.expect(t, "error 42501; ready I", query("insert into ran values (1)"))
	r.expect(t, "error 42501; ready I", parse("", "insert into ran values (1)"), bind(""), execute, syncMsg)
	if n := ask[int](t, h, "select count(*) from ran"); n != 0 {
		t.Errorf("%d statements ran without their settings", n)
	}
	h.sql(t, "grant set on parameter log_statement to acme")
	r.expect(t, "INSERT 0 1; ready I", query("insert into ran values (1)"))
}

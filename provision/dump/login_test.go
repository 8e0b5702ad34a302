package dump_test

import (
	"maps"
	"testing"

	"github.com/jackc/pgx/v5"

	"howdah/provision/dump"
)

func TestParseLogin(t *testing.T) {
	for text, want := range map[string]dump.Login{
		"postgres://u:p%40%20w@h:5433/d?sslmode=require&options=-c%20x%3D1": {
			"user": "u", "password": "p@ w", "host": "h", "port": "5433", "dbname": "d", "sslmode": "require", "options": "-c x=1",
		},
		"postgresql://h":                           {"host": "h"},
		"postgres://[::1]:7/":                      {"host": "::1", "port": "7"},
		"postgres://u@a:1,b:2/d":                   {"user": "u", "host": "a,b", "port": "1,2", "dbname": "d"},
		"postgres:///d?host=/run/x&port=5442":      {"host": "/run/x", "port": "5442", "dbname": "d"},
		`host=/run/x password = 'it\'s \\' user=u`: {"host": "/run/x", "password": `it's \`, "user": "u"},
		"": {},
	} {
		got, err := dump.ParseLogin(text)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: got %v, %v", text, map[string]string(got), err)
		}
		if _, err := pgx.ParseConfig(got.String()); err != nil {
			t.Errorf("%s: its string: %v", text, err)
		}
	}
	for _, text := range []string{"nonsense", "user='u", "postgres://%zz"} {
		if _, err := dump.ParseLogin(text); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

func TestLoginChanges(t *testing.T) {
	admin := dump.Login{"host": "/run/x", "port": "5442", "user": "postgres", "password": "secret", "sslkey": "k", "dbname": "postgres"}
	got := admin.As("acme", "another").In("new").At("10.0.0.1:5433")
	if want := (dump.Login{"host": "10.0.0.1", "port": "5433", "user": "acme", "password": "another", "dbname": "new"}); !maps.Equal(got, want) {
		t.Errorf("got %v", map[string]string(got))
	}
	if got := admin.At("/tmp/d/.s.PGSQL.7"); got["host"] != "/tmp/d" || got["port"] != "7" {
		t.Errorf("a socket's path: %v", map[string]string(got))
	}
	if admin["user"] != "postgres" || admin["sslkey"] != "k" {
		t.Error("the login that it was made from has changed")
	}
}

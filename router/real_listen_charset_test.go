package router_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire"
)

// TestRealListenCharset has the same said to PostgreSQL and to Howdah in front
// of it, by clients of several encodings: both must answer alike.
func TestRealListenCharset(t *testing.T) {
	h := startHouse(t)
	h.sql(t, "create database ascii owner acme encoding 'SQL_ASCII' template template0 locale 'C'",
		"create database western owner acme encoding 'LATIN1' template template0 locale 'C'")
	for _, test := range []struct{ database, client, channel, payload string }{
		{"acme", "UTF8", `"hé"`, "'ü'"},
		{"acme", "LATIN1", "\"h\xe9\"", "'\xfc'"},
		{"acme", "WIN1252", "\"\x80\"", "'\x80'"},
		{"acme", "KOI8R", "\"\xc4\xc1\"", "'\xc4'"},
		{"acme", "EUC_KR", "\"\xb0\xa1\"", "'\xb0\xa1'"},
		{"acme", "GBK", "\"\xd6\x5c\"", "'\xd6\xd0'"}, // its second byte is a backslash: a server listens
		{"acme", "GBK", "news", "'\xd6\xd0'"},
		{"acme", "EUC_JP", "\"\xa4\xa2\"", "'\xa4\xa2'"}, // not an encoding of ours
		{"acme", "SQL_ASCII", `"hé"`, "'ü'"},
		{"acme", "LATIN1", "news", "'a'||chr(8364)"}, // not in the encoding
		{"ascii", "LATIN1", "\"h\xe9\"", "'\xfc'"},
		{"ascii", "SQL_ASCII", "\"h\xe9\"", "'\xff'"},
		{"western", "UTF8", `"` + strings.Repeat("é", 40) + `"`, "'ü'"},
		{"western", "SQL_ASCII", "\"h\xe9\"", "'\xfc'"},
	} {
		t.Run(fmt.Sprintf("%s in %s over %s", test.channel, test.client, test.database), func(t *testing.T) {
			d := h.open(t, func(s *setup) {
				for _, name := range []string{"ascii", "western"} {
					more := s.tenants[0]
					more.Name, more.Database = name, name
					s.tenants = append(s.tenants, more)
				}
			})
			tell := func(address string) string {
				c := d.dialConfig("acme", wire.Parameter{Name: "client_encoding", Value: test.client})
				c.Address, c.Parameters[1].Value = address, test.database
				r, other := newRaw(dial(t, c)), newRaw(dial(t, c))
				defer r.Conn.Close()
				defer other.Conn.Close()
				name := strings.Trim(test.channel, `"`)
				got := r.say(t, query("listen "+test.channel))
				own, err := r.talk(query(fmt.Sprintf("select pg_notify('%s', %s)", name, test.payload)))
				got = append(append(got, own...), fmt.Sprint(err))
				if err != nil {
					r = newRaw(dial(t, c))
					defer r.Conn.Close()
					got = append(got, r.say(t, query("listen "+test.channel))...)
				}
				got = append(got, other.say(t, query(fmt.Sprintf("select pg_notify('%s', %s)", name, test.payload)))...)
				m, err := r.receive()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, describe(m))
				if _, ok := m.(*pgproto3.NotificationResponse); ok {
					got = append(got, r.say(t, query("unlisten "+test.channel), query(fmt.Sprintf("select pg_notify('%s', %s)", name, test.payload)))...)
				}
				return strings.Join(got, "; ")
			}
			direct, ours := tell(h.Address()), tell(d.address)
			if ours != direct {
				t.Errorf("Howdah     %q\nPostgreSQL %q", ours, direct)
			}
			if !strings.Contains(direct, "; note ") && !strings.Contains(direct, "22P05") {
				t.Errorf("nothing is heard: %q", direct)
			}
		})
	}
}

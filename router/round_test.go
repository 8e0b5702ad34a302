package router

import (
	"testing"

	"howdah/tenants"
	"howdah/wire"
)

// odooRound is what Odoo's worker sends with every cursor.
var odooRound = [][]byte{
	query("discard all"),
	query("begin isolation level repeatable read"),
	query("select aid, bid, abalance, filler from pgbench_accounts where aid = 4711"),
	query("select aid, bid, abalance, filler from pgbench_accounts where aid = 815"),
	query("select aid, bid, abalance, filler from pgbench_accounts where aid = 1234567"),
	query("commit"),
}

// odooAnswers are those of PostgreSQL to odooRound[2:], with those to a BEGIN
// of ours in front.
func odooAnswers() (all [4][][]byte) {
	begun := [][]byte{
		empty(wire.BindComplete), wire.AppendString(nil, wire.CommandComplete, "BEGIN"), empty(wire.CloseComplete),
	}
	row := [][]byte{
		wire.AppendMessage(nil, wire.RowDescription, []byte{0, 0}), wire.AppendMessage(nil, wire.DataRow, []byte("row")),
		wire.AppendString(nil, wire.CommandComplete, "SELECT 1"), wire.AppendReadyForQuery(nil, wire.TxOpen),
	}
	all[0] = append(begun, row...)
	all[1], all[2] = row, row
	all[3] = [][]byte{wire.AppendString(nil, wire.CommandComplete, "COMMIT"), wire.AppendReadyForQuery(nil, wire.TxIdle)}
	return all
}

// What the machine does for a round costs no memory, and how long it takes.
func BenchmarkOdooRound(b *testing.B) {
	sc := &scenario{sessions: map[string]*session{}, backends: map[string]*backend{}}
	s := sc.choose("A")
	s.mode = tenants.Transaction
	server := newBackend(s.vars)
	server.helpers = ^uint64(0)
	answers := odooAnswers()
	b.ReportAllocs()
	for b.Loop() {
		for i, m := range odooRound {
			h, _, _ := wire.ParseHeader(m)
			if s.fromClient(h, m) == verbAcquire {
				s.assigned(server)
				s.fromClient(h, m)
			}
			s.shared.toServer, s.shared.toClient = s.shared.toServer[:0], s.shared.toClient[:0]
			if i < 2 {
				continue
			}
			for _, m := range answers[i-2] {
				if m[0] == wire.DataRow {
					continue
				}
				if _, err := s.fromServer(m[0], m[wire.HeaderLen:]); err != nil {
					b.Fatalf("message %q behind %q: %v", m[0], odooRound[i], err)
				}
			}
		}
		if !s.releasable() {
			b.Fatal("the server cannot be released")
		}
		s.released()
	}
}

package router

import (
	"testing"

	"howdah/tenants"
	"howdah/wire"
)

// The machine allocates nothing for what a busy client does all day.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	rows := make([][]byte, 0, 1000)
	for range cap(rows) {
		rows = append(rows, wire.AppendMessage(nil, wire.DataRow, []byte("row")))
	}
	selected := [][]byte{wire.AppendMessage(nil, wire.RowDescription, []byte{0, 0})}
	selected = append(append(selected, rows...), wire.AppendString(nil, wire.CommandComplete, "SELECT 1000"), wire.AppendReadyForQuery(nil, wire.TxIdle))
	bound := append([][]byte{empty(wire.BindComplete), selected[0]}, selected[1:]...)
	for _, tt := range []struct {
		name            string
		client, answers [][]byte
	}{
		{"simple query", [][]byte{query("select * from sale_order where id = 1")}, selected},
		{"named statement", [][]byte{bindMessage("", "s1", "7"), wire.AppendTarget(nil, wire.Describe, 'P', ""), executeMessage("", 0), empty(wire.Sync)}, bound},
		{"Sync alone", [][]byte{empty(wire.Sync)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sc := &scenario{sessions: map[string]*session{}, backends: map[string]*backend{}}
			s := sc.choose("A")
			s.mode = tenants.Transaction
			b := newBackend(s.vars)
			s.assigned(b)
			play(t, s, [][]byte{parse("s1", "select * from sale_order where id = $1"), empty(wire.Sync)},
				[][]byte{
					empty(wire.ParseComplete), wire.AppendMessage(nil, wire.ParameterDescription, []byte{0, 0}), empty(wire.NoData),
					wire.AppendReadyForQuery(nil, wire.TxIdle),
				})
			s.released()
			if n := testing.AllocsPerRun(100, func() {
				if tt.answers != nil {
					s.assigned(b)
				}
				play(t, s, tt.client, tt.answers)
				if s.held {
					s.released()
				}
			}); n != 0 {
				t.Errorf("%v allocations per transaction", n)
			}
		})
	}
}

// play has a client's messages forwarded and answered.
func play(t *testing.T, s *session, client, answers [][]byte) {
	for _, b := range client {
		h, _, _ := wire.ParseHeader(b)
		if v := s.fromClient(h, b); v == verbStall || v == verbAcquire || v == verbRefuse {
			t.Fatalf("%s for a message of type %q", verbNames[v], h.Type)
		}
		s.shared.toServer, s.shared.toClient = s.shared.toServer[:0], s.shared.toClient[:0]
	}
	for _, b := range answers {
		if b[0] == wire.DataRow {
			if !s.plain() {
				t.Fatal("a row goes to nobody")
			}
			continue
		}
		if _, err := s.fromServer(b[0], b[wire.HeaderLen:]); err != nil {
			t.Fatalf("message of type %q: %v", b[0], err)
		}
		s.shared.toClient = s.shared.toClient[:0]
	}
	if s.held && !s.releasable() {
		t.Fatal("the server cannot be released")
	}
}

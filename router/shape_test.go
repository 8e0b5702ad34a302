package router

import (
	"testing"

	"howdah/wire"
)

// An answer to Describe is kept whole or not at all: a statement with more
// parameters than are kept is described by the server.
func TestLongDescriptionIsNotKept(t *testing.T) {
	sc := &scenario{sessions: map[string]*session{}, backends: map[string]*backend{}}
	s := sc.choose("A")
	for _, tt := range []struct {
		parameters int
		kept       bool
	}{{1, true}, {1000, false}} {
		d := &describing{stmt: &statement{}}
		s.described(d, wire.ParameterDescription, make([]byte, 2+4*tt.parameters))
		s.described(d, wire.NoData, nil)
		if got := d.stmt.shape; !got.known || got.rows || (got.told != nil) != tt.kept {
			t.Errorf("%d parameters: %+v", tt.parameters, got)
		}
	}
}

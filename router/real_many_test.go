package router_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/tenants"
)

// A client can have so many prepared statements; the next one fails with an
// error that names the setting, and what it has still works.
func TestRealStatementsAreBounded(t *testing.T) {
	h := startHouse(t)
	d := h.open(t, poolSize(1), limits(func(l *tenants.Limits) { l.MaxClientPreparedStatements = 10_000 }))
	r := d.raw(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	refused := 0
	for i := 0; i < 100_000; i += 1000 {
		var messages []pgproto3.FrontendMessage
		for k := range 1000 {
			messages = append(messages, parse(fmt.Sprint("s", i+k), fmt.Sprintf("select %d", i+k)), syncMsg)
		}
		for _, line := range r.say(t, messages...) {
			if line == "error 53400" {
				refused++
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if refused != 90_000 {
		t.Errorf("%d of 100,000 were refused, want 90,000", refused)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 20<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	r.expect(t, "bound; row 7; SELECT 1; ready I", bind("s7"), execute, syncMsg)
	r.expect(t, "closed; parsed; ready I", &pgproto3.Close{ObjectType: 'S', Name: "s7"}, parse("new", "select 1"), syncMsg)
}

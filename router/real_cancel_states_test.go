package router_test

import (
	"slices"
	"testing"

	"howdah/router"
)

// testCancelStates looks at a cancel request that takes its time: the query it
// is for ends meanwhile.
func testCancelStates(t *testing.T, h *house) {
	v := h.detour(t)
	d := h.open(t, v.change)
	r := d.raw(t)
	must(t, r.send(query("select pg_sleep(0.3)")))
	d.await(t, "a busy server", func(p router.PoolStats) bool { return p.ServersActive == 1 })
	canceled := make(chan error, 1)
	go func() { canceled <- d.cancel(r.key) }()
	d.await(t, "a cancel request", func(p router.PoolStats) bool { return p.ClientsCanceling == 1 })
	states := func(rows []router.ConnStats) (all []string) {
		for _, row := range rows {
			all = append(all, row.State)
		}
		slices.Sort(all)
		return all
	}
	if got := states(d.Clients()); !slices.Equal(got, []string{"active", "active_cancel_req"}) {
		t.Errorf("clients: %q", got)
	}
	if got, err := r.answers(); err != nil || got[0] != "row " {
		t.Fatalf("the query was answered with %q, %v", got, err)
	}
	d.await(t, "a server that waits for the request's end", func(p router.PoolStats) bool {
		return p.ServersCanceling == 1 && p.ServersActive == 0 && p.ServersIdle == 0
	})
	if got := states(d.Servers()); !slices.Equal(got, []string{"active_cancel", "being_canceled"}) {
		t.Errorf("servers: %q", got)
	}
	close(v.cancels)
	must(t, <-canceled)
	d.await(t, "an idle server", func(p router.PoolStats) bool {
		return p.ServersCanceling == 0 && p.ClientsCanceling == 0 && p.ServersIdle == 1
	})
	if got := states(d.Clients()); !slices.Equal(got, []string{"idle"}) {
		t.Errorf("clients at the end: %q", got)
	}
}

package router_test

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"testing"

	"howdah/router"
	"howdah/tenants"
)

// slowCancels passes connections on to PostgreSQL, but those that bring a cancel
// request only once release is closed.
func slowCancels(t *testing.T, to string, release <-chan struct{}) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go passOn(from, to, release)
		}
	}()
	return l.Addr().String()
}

// cancelCode is what a CancelRequest has in the place of a version.
const cancelCode = 80877102

func passOn(from net.Conn, to string, release <-chan struct{}) {
	defer from.Close()
	head := make([]byte, 8)
	if _, err := io.ReadFull(from, head); err != nil {
		return
	}
	if binary.BigEndian.Uint32(head[4:]) == cancelCode {
		<-release
	}
	conn, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := conn.Write(head); err != nil {
		return
	}
	go func() {
		io.Copy(conn, from)
		conn.Close()
	}()
	io.Copy(from, conn)
}

// testCancelStates looks at a cancel request that takes its time: the query it
// is for ends meanwhile.
func testCancelStates(t *testing.T, h *house) {
	release := make(chan struct{})
	address := slowCancels(t, h.Address(), release)
	d := h.open(t, func(s *setup) { s.cluster.Members = []tenants.Member{{Address: address}} })
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
	close(release)
	must(t, <-canceled)
	d.await(t, "an idle server", func(p router.PoolStats) bool {
		return p.ServersCanceling == 0 && p.ClientsCanceling == 0 && p.ServersIdle == 1
	})
	if got := states(d.Clients()); !slices.Equal(got, []string{"idle"}) {
		t.Errorf("clients at the end: %q", got)
	}
}

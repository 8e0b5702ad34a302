package router_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"howdah/tenants"
)

// detour passes connections on to PostgreSQL. Until it is released it holds up
// those that bring a cancel request, or the ends of all others.
type detour struct {
	to       string
	listener net.Listener
	cancels  chan struct{} // closed by the release
	ends     chan struct{}
	holding  atomic.Bool // ends
}

func (h *house) detour(t *testing.T) *detour {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &detour{to: h.Address(), listener: l, cancels: make(chan struct{}), ends: make(chan struct{})}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go v.pass(from)
		}
	}()
	return v
}

// change has a door's cluster reached over the detour.
func (v *detour) change(s *setup) {
	s.cluster.Members = []tenants.Member{{Address: v.listener.Addr().String()}}
}

// cancelCode is what a CancelRequest has in the place of a version.
const cancelCode = 80877102

func (v *detour) pass(from net.Conn) {
	defer from.Close()
	head := make([]byte, 8)
	if _, err := io.ReadFull(from, head); err != nil {
		return
	}
	if binary.BigEndian.Uint32(head[4:]) == cancelCode {
		<-v.cancels
	}
	to, err := net.Dial("tcp", v.to)
	if err != nil {
		return
	}
	defer to.Close()
	if _, err := to.Write(head); err != nil {
		return
	}
	go func() {
		copyPlainly(to, from)
		to.Close()
	}()
	copyPlainly(from, to)
	if v.holding.Load() {
		<-v.ends
	}
}

// copyPlainly is io.Copy without the kernel's help, which keeps pipes that the
// door would count.
func copyPlainly(to, from net.Conn) {
	io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
}

// testClosedIsClosed has the ends of servers reach Howdah late: until then they
// may be there.
func testClosedIsClosed(t *testing.T, h *house) {
	v := h.detour(t)
	d := h.open(t, v.change)
	r := d.raw(t)
	r.say(t, query("select 1"))
	v.holding.Store(true)
	must(t, d.Reconnect("acme"))
	wantErr(t, d.WaitClose(briefly(t), "acme"), context.DeadlineExceeded)
	wantErr(t, d.Pause(briefly(t), "acme"), context.DeadlineExceeded)
	close(v.ends)
	must(t, d.WaitClose(patiently(t), "acme"))
	must(t, d.Pause(patiently(t), "acme"))
	if p := d.pool("acme"); p.ServersBeingClosed > 0 {
		t.Errorf("a server is being closed when PAUSE has returned: %+v", p)
	}
	must(t, d.Resume("acme"))
	r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

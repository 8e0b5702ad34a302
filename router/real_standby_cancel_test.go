package router_test

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/router"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestRealCancelAtStandby goes on behind a statement that was cancelled at a standby
// while the cancel request is not over, and the server is kept for that: where the
// next statement runs is decided anew.
func TestRealCancelAtStandby(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	const after = time.Second
	address := lateCancels(t, standby.Address(), after)
	d := h.open(t, members, func(s *setup) { s.cluster.Members[0].Address = address })
	r, late := d.raw(t), d.raw(t)
	r.say(t, query("create table kept (n int)"))
	d.settleAt(t, "acme", standby)
	for _, asks := range [][]pgproto3.FrontendMessage{
		{query("insert into kept values (1)")},
		{parse("", "insert into kept values (1)"), bind(""), execute, syncMsg},
	} {
		if err := r.send(query("/* howdah: standby */ select pg_sleep(30)")); err != nil {
			t.Fatal(err)
		}
		awaitSleep(t, standby)
		go d.cancel(r.key)
		r.expect(t, "error 57014; ready I")
		if got := r.say(t, asks...); !strings.HasSuffix(strings.Join(got, "; "), "INSERT 0 1; ready I") {
			t.Errorf("got %q", got)
		}
		late.expect(t, "row "+strconv.Itoa(h.Port())+"; SELECT 1; ready I", query(where))
		d.settleAt(t, "acme", standby)
	}
	r.expect(t, "row 2; SELECT 1; ready I", query("select count(*) from kept"))
}

// lateCancels passes connections on to address, and ends those of cancel requests
// only after a while.
func lateCancels(t *testing.T, address string, after time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	const cancelRequest = 80877102
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				to, err := net.Dial("tcp", address)
				if err != nil {
					return
				}
				defer to.Close()
				var head [8]byte
				if _, err := io.ReadFull(from, head[:]); err != nil {
					return
				}
				to.Write(head[:])
				ended := make(chan bool, 2)
				go func() { io.Copy(to, from); ended <- true }()
				go func() { io.Copy(from, to); ended <- true }()
				<-ended
				if binary.BigEndian.Uint32(head[4:]) == cancelRequest {
					time.Sleep(after)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestRealCancelParked cancels a read that waits for room at the primary.
func TestRealCancelParked(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members, func(s *setup) { s.cluster.MaxPrimaryReads = 1 })
	holder, r := d.raw(t), d.raw(t)
	d.settleAt(t, "acme", standby)
	if err := standby.Exec(t.Context(), postgres.Superuser, "select pg_wal_replay_pause()"); err != nil {
		t.Fatal(err)
	}
	holder.say(t, query("create table kept (n int)"))
	port := strconv.Itoa(h.Port())
	holder.expect(t, "BEGIN; ready T; row "+port+"; SELECT 1; ready T", query("begin read only"), query(where))
	read := "/* howdah: standby */ select 1"
	for _, asks := range [][]pgproto3.FrontendMessage{{query(read)}, {parse("", read), bind(""), execute, syncMsg}} {
		if err := r.send(asks...); err != nil {
			t.Fatal(err)
		}
		d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
		if err := d.cancel(r.key); err != nil {
			t.Fatal(err)
		}
		r.expect(t, "error 57014; ready I")
		d.await(t, "none that waits", func(p router.PoolStats) bool { return p.ClientsWaiting == 0 })
		r.expect(t, "row "+port+"; SELECT 1; ready I", query(where))
	}
	holder.expect(t, "COMMIT; ready I", query("commit"))
	r.expect(t, "row 1; SELECT 1; ready I", query(read))
}

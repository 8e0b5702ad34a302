package admin_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/admin"
	"howdah/router"
	"howdah/wire"
)

func virtualLogin(user string) router.VirtualLogin {
	return router.VirtualLogin{User: user, Database: "howdah", Key: wire.Key{PID: 1, Secret: []byte("1234")}}
}

// TestAveragesCoverOneToTwoPeriods lets acme do 10 transactions a second for one
// minute, nothing for one, then 20 a second.
func TestAveragesCoverOneToTwoPeriods(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &fakePooler{stats: router.Stats{Started: time.Now()}}
		console := &admin.Console{Pooler: p, Roles: testRoles}
		ctx, cancel := context.WithCancel(context.Background())
		go console.Run(ctx)
		client, conn := net.Pipe()
		go console.Serve(ctx, conn, virtualLogin("watcher"))
		fe := pgproto3.NewFrontend(client, client)
		receiveUntilReady(t, fe)
		defer func() {
			cancel()
			client.Close()
			synctest.Wait()
		}()

		work := func(seconds, perSecond int) {
			for range seconds {
				time.Sleep(time.Second)
				n := uint64(perSecond)
				p.setStats(func(s *router.Stats) {
					if len(s.Pools) == 0 {
						s.Pools = []router.PoolStats{{Database: "acme", User: "acme"}}
					}
					// A copy, since the console reads the old one.
					pool := s.Pools[0]
					pool.Counters.Add(&router.Counters{Transactions: n, TxTime: 500 * n, Sent: 100 * n, Assignments: n, WaitTime: 30 * n})
					s.Pools = []router.PoolStats{pool}
				})
			}
		}
		expect := func(when, xacts, sent, xactTime, wait string) {
			t.Helper()
			row := firstRow(t, client, fe, "SHOW STATS_AVERAGES")
			if row[0] != "acme" || row[2] != xacts || row[5] != sent || row[6] != xactTime || row[8] != wait {
				t.Errorf("%s: %q, want %s transactions, %s bytes a second, %s µs each, %s µs wait", when, row, xacts, sent, xactTime, wait)
			}
		}
		work(30, 10)
		expect("before the first sample", "10", "1000", "500", "30")
		// Never look at the very moment of a sample.
		work(29, 10)
		work(62, 0)
		expect("after an idle minute", "0", "0", "0", "0")
		work(30, 20)
		expect("half a minute at 20", "6", "659", "500", "30")
		// Its pool is made anew: the counters start from zero.
		p.setStats(func(s *router.Stats) { s.Pools = nil })
		work(15, 20)
		expect("pool made anew", "2", "283", "500", "30")
	})
}

// firstRow asks over a pipe, which has no buffer: write and read must overlap.
func firstRow(t *testing.T, conn net.Conn, fe *pgproto3.Frontend, text string) []string {
	t.Helper()
	go conn.Write(wire.AppendString(nil, wire.Query, text))
	var row []string
	for {
		m, err := fe.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			if row == nil {
				for _, v := range m.Values {
					row = append(row, string(v))
				}
			}
		case *pgproto3.ReadyForQuery:
			return row
		}
	}
}

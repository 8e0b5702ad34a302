package router_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// testNothingIsLost has clients transfer money all the time while an operator
// gives every command that may not disturb them. No client may meet an error,
// and what was confirmed must be there, once.
func testNothingIsLost(t *testing.T, h *house) {
	const clients = 12
	h.sql(t, "create table transfers (client int, n int, primary key (client, n))",
		"create table balance (client int primary key, n int)", "grant all on transfers, balance to acme",
		fmt.Sprintf("insert into balance select i, 0 from generate_series(0, %d) i", clients-1))
	d := h.open(t, poolSize(4))
	var (
		stop      = make(chan struct{})
		confirmed [clients]atomic.Int64
		wg        sync.WaitGroup
	)
	for i := range clients {
		wg.Go(func() {
			if err := transfer(d, i, &confirmed[i], stop); err != nil {
				t.Errorf("client %d, after %d transactions: %v", i, confirmed[i].Load(), err)
			}
		})
	}
	total := func() (n int64) {
		for i := range confirmed {
			n += confirmed[i].Load()
		}
		return n
	}
	sizes := []int{2, 6, 4}
	for round := range 12 {
		for _, command := range []func() error{
			func() error { return d.Pause(patiently(t), "acme") },
			func() error { return d.Resume("acme") },
			func() error { return d.Reconnect("acme") },
			func() error { return d.Pause(patiently(t), "") },
			func() error { d.reload(t, poolSize(sizes[round%len(sizes)])); return nil },
			func() error { return d.Resume("") },
			func() error { return d.WaitClose(patiently(t), "") },
			func() error { return d.Suspend(patiently(t)) },
			func() error { return d.Resume("") },
			func() error { return d.Reconnect("") },
			func() error { return d.WaitClose(patiently(t), "acme") },
		} {
			must(t, command())
		}
		before := total()
		if !poll(func() bool { return total() >= before+3*clients || t.Failed() }) || t.Failed() {
			t.Fatalf("round %d: %d transactions, %d before", round, total(), before)
		}
	}
	close(stop)
	wg.Wait()
	for i := range clients {
		want := confirmed[i].Load()
		var rows, n int64
		rows = ask[int64](t, h, "select count(*) from transfers where client = $1", i)
		n = ask[int64](t, h, "select n from balance where client = $1", i)
		if rows != want || n != want {
			t.Errorf("client %d: %d transactions were confirmed, there are %d, and the balance is %d", i, want, rows, n)
		}
	}
	h.sql(t, "drop table transfers, balance")
}

// transfer runs transactions of several statements until it is told to stop.
func transfer(d *door, i int, confirmed *atomic.Int64, stop <-chan struct{}) error {
	r, err := d.tryRaw("acme")
	if err != nil {
		return err
	}
	defer r.Close()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return r.send(terminate)
		default:
		}
		for _, step := range []struct{ text, want string }{
			{"begin", "BEGIN; ready T"},
			{fmt.Sprintf("insert into transfers values (%d, %d)", i, n), "INSERT 0 1; ready T"},
			{fmt.Sprintf("update balance set n = n + 1 where client = %d returning n", i), fmt.Sprintf("row %d; UPDATE 1; ready T", n+1)},
			{"commit", "COMMIT; ready I"},
		} {
			got, err := r.talk(query(step.text))
			if line := strings.Join(got, "; "); err != nil || line != step.want {
				return fmt.Errorf("%s: %q, %v", step.text, line, err)
			}
		}
		confirmed.Add(1)
	}
}

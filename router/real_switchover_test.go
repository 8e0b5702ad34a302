package router_test

import (
	"context"
	"testing"
	"time"

	"howdah/tenants"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestRealSwitchover has primary and standby change places twice under clients, as
// the README says it is done: no client meets an error, whether it works all the
// time or holds no server, nothing that was confirmed is lost, and the old primary
// serves reads.
func TestRealSwitchover(t *testing.T) {
	const riders = 12
	soon := wiretest.WithSetting("wal_retrieve_retry_interval", "100ms")
	h := startHouse(t, soon)
	standby, members := h.cluster(t, soon)
	h.fillPgbench(t, "globex")
	reading := h.tenant(t, "initech")
	d := h.open(t, members, reading, poolSize(4), keepTold, limits(func(l *tenants.Limits) { l.ServerLoginRetry = 15 * time.Second }))
	quiet := d.quiet(t)
	d.settleAt(t, "initech", standby)
	all := d.tellers(t, "acme", riders)
	load := d.pgbench(t, "globex", riders, 5*time.Second)
	all.goOn(t, riders, time.Now())

	h.switchOver(t, d, h.Server, standby)
	all.goOn(t, riders, time.Now())
	quiet.goOn(t, standby)
	h.rejoin(t, standby, false)
	d.settleAt(t, "initech", h.Server)

	h.switchOver(t, d, standby, h.Server)
	resumed := time.Now()
	all.goOn(t, riders, resumed)
	quiet.goOn(t, h.Server)
	if n := load.wentOn(t, riders, time.Time{}, time.Time{}); n > 0 {
		t.Errorf("%d clients of pgbench had an error", n)
	}
	for _, a := range all.errors() {
		t.Error(a)
	}
	all.close(t, h.Server)
}

// switchOver has a standby take the primary's place.
func (h *house) switchOver(t *testing.T, d *door, primary, standby *postgres.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	began := time.Now()
	if err := d.Pause(ctx, ""); err != nil {
		t.Fatal(err)
	}
	paused := time.Now()
	var written string
	if err := primary.QueryRow(ctx, postgres.Superuser, "select pg_current_wal_lsn()::text", nil, &written); err != nil {
		t.Fatal(err)
	}
	replayed := false
	if !poll(func() bool {
		err := standby.QueryRow(ctx, postgres.Superuser, "select pg_last_wal_replay_lsn() >= $1::pg_lsn", []any{written}, &replayed)
		return err == nil && replayed
	}) {
		t.Fatal("the standby does not replay what was written")
	}
	if err := primary.Stop(ctx, postgres.Fast); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	promote(t, standby)
	promoted := time.Now()
	if err := d.Resume(""); err != nil {
		t.Fatal(err)
	}
	if !poll(func() bool { return d.serversAt(standby.Port()) > 0 }) {
		t.Fatal("nothing runs at the new primary")
	}
	t.Logf("PAUSE took %v, the stop %v, the promotion %v; the first server was open %v behind RESUME; clients were held for %v",
		paused.Sub(began), stopped.Sub(paused), promoted.Sub(stopped), time.Since(promoted), time.Since(began))
}

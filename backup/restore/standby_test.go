package restore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestRestoreFromStandby takes a base backup of a standby, of a cluster that has no
// tablespaces (the server sends an empty map of them then), under load, restores it, and has
// the standby be promoted while the next one is taken.
func TestRestoreFromStandby(t *testing.T) {
	h := newHouse(t, wiretest.FindPostgres(t), wiretest.WithSetting("full_page_writes", "on"), wiretest.WithSetting("checkpoint_timeout", "30s"))
	h.exec("create table filling as select generate_series(1, 100000) n")
	standby := wiretest.StartStandby(t, h.Server, wiretest.WithTrust(), wiretest.WithSetting("max_prepared_transactions", "5"))
	ctx := t.Context()

	type outcome struct {
		m   *base.Manifest
		err error
	}
	took := make(chan outcome)
	take := func(o base.Options) {
		var m *base.Manifest
		c, err := replication.Connect(ctx, standby.AdminURL(postgres.Superuser))
		if err == nil {
			defer c.Close(context.WithoutCancel(ctx))
			m, err = base.Take(ctx, h.repo, c, func(context.Context) (map[uint32]string, error) { return map[uint32]string{5: "postgres"}, nil }, o)
		}
		took <- outcome{m, err}
	}
	go take(base.Options{MaxRate: 20 << 10})
	var first outcome
	for taking := true; taking; {
		h.write(20)
		h.exec("update filling set n = n + 1 where n % 10 = 0")
		select {
		case first = <-took:
			taking = false
		default:
		}
	}
	if first.err != nil {
		t.Fatal(first.err)
	}
	h.stored(replication.Position(first.m.Start), first.m.Stop.LSN)
	if err := base.Commit(ctx, h.repo, first.m); err != nil {
		t.Fatal(err)
	}
	at := h.now()
	const sums = "select (select count(*) from log) || ' ' || (select sum(n) from log) || ' ' || (select sum(n) from filling)"
	want, got := h.text(sums), "nothing"
	h.write(10)
	plan := h.plan(at)
	if plan.Base.ID != first.m.ID {
		t.Errorf("it begins with %s, not %s", plan.Base.ID, first.m.ID)
	}
	h.look = func(conn *pgx.Conn, _ string) {
		if err := conn.QueryRow(ctx, sums).Scan(&got); err != nil {
			t.Error(err)
		}
	}
	if h.run(t, plan); got != want {
		t.Errorf("restored are %s, not %s", got, want)
	}

	go take(base.Options{MaxRate: 1 << 10})
	for end := time.Now().Add(time.Minute); !h.isTaken(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("none is being taken")
		}
	}
	if err := standby.Exec(ctx, postgres.Superuser, "select pg_promote()"); err != nil {
		t.Fatal(err)
	}
	if second := <-took; second.err == nil || !strings.Contains(second.err.Error(), "promoted") {
		t.Errorf("it was promoted meanwhile: %+v", second)
	}
	if all, err := base.List(ctx, h.repo); err != nil || len(all) != 1 || h.isTaken() {
		t.Errorf("there are %d base backups, %v; one is being taken: %t", len(all), err, h.isTaken())
	}
}

// isTaken says whether a base backup is being taken.
func (h *house) isTaken() bool {
	h.Helper()
	for _, err := range h.repo.Store.List(h.Context(), h.repo.Key("base", "running")+"/") {
		if err != nil {
			h.Fatal(err)
		}
		return true
	}
	return false
}

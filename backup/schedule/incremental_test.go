package schedule

import (
	"os"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/store"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestIncrementals has a scheduler take incremental base backups, on a node that can open
// nothing that is stored.
func TestIncrementals(t *testing.T) { testIncrementals(t, wiretest.NewerPostgres(t)) }

func TestIncrementalsNewestSoak(t *testing.T) { testIncrementals(t, wiretest.NewestPostgres(t)) }

func testIncrementals(t *testing.T, binaries postgres.Binaries) {
	h := newHouse(t, binaries, wiretest.WithSetting("summarize_wal", "on"))
	h.stop()
	_, recipient, err := store.NewIdentity()
	if err == nil {
		h.repo.Sealer, err = store.NewSealer([]string{recipient}, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range h.list() { // taken before, perhaps: nothing of it was kept
		if err := base.Delete(t.Context(), h.repo, m.ID); err != nil {
			t.Fatal(err)
		}
	}
	h.changes.Store(int64(time.Hour))
	h.start()
	h.waits(1, "the first one")

	// next has changes be due until there is another.
	next := func(what string) base.Manifest {
		t.Helper()
		n := len(h.list())
		h.changes.Store(int64(time.Millisecond))
		h.until(what, func() bool { return len(h.list()) > n || h.scheduler.Stats().Why != "" })
		h.changes.Store(int64(time.Hour))
		return h.waits(n+1, what)[0]
	}
	full := h.list()[0]
	if full.ConfigurationMissing != "" || full.Configuration != nil {
		t.Errorf("of the configuration, all of which is in the data directory, %q is missing, and beside it is %+v", full.ConfigurationMissing, full.Configuration)
	}
	h.exec("create table log as select generate_series(1, 1000) n")
	first := next("changes")
	second := next("more changes")
	if first.Since != full.ID || second.Since != first.ID || first.Size > full.Size/2 {
		t.Errorf("%s is since %q, %s since %q", first.ID, first.Since, second.ID, second.Since)
	}
	if _, err := base.Chain(t.Context(), h.repo, &second); err != nil {
		t.Error(err)
	}
	h.stop()
	h.start()
	if third := next("changes, by another process"); third.Since != second.ID {
		t.Errorf("%s is since %q", third.ID, third.Since)
	}
	h.replay.Store(100 << 20)
	for range 6 {
		h.exec("insert into log values (1)", "select pg_switch_wal()")
	}
	if fourth := h.waits(5, "much to replay")[0]; fourth.Since == "" {
		t.Error("all was taken where what has changed is enough")
	}
	h.replay.Store(0)
	if err := os.RemoveAll(h.state); err != nil {
		t.Fatal(err)
	}
	again := next("nothing is known of the last one")
	if n := h.log.count("cannot be opened without identity_file"); again.Since != "" || n != 1 {
		t.Errorf("%s is since %q; told %d times", again.ID, again.Since, n)
	}
	after := next("changes since that one")
	if after.Since != again.ID {
		t.Errorf("%s is since %q", after.ID, after.Since)
	}
	if err := h.repo.Store.Delete(t.Context(), h.repo.Key("base", "data", again.ID, "000000")); err != nil {
		t.Fatal(err)
	}
	if m := next("what the last one needs is gone"); m.Since != "" {
		t.Errorf("%s is since %q", m.ID, m.Since)
	}
	h.exec("alter system set summarize_wal = off", "select pg_reload_conf()")
	n := len(h.list())
	h.changes.Store(int64(time.Millisecond))
	h.still(n, "no summaries")
	if h.log.count("no incremental base backups are taken") != 1 {
		t.Error("it is not told that there are none")
	}
}

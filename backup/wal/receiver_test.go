package wal

import (
	"testing"

	"howdah/wire/wiretest"
)

func TestReceiver(t *testing.T) {
	primary := wiretest.StartPostgres(t, wiretest.WithTrust(), wiretest.WithSetting("synchronous_commit", "on"))
	base := copyOf(t, primary, wiretest.FindPostgres(t))
	g := newRig(t)
	r := g.receiver(primary.AdminURL("postgres"))
	run(t, r)
	until(t, "a connection", func() bool { return r.Stats().Connected })
	exec1(t, primary, "create table t as select generate_series(1, 300000) n") // more than a segment
	stored(t, r, primary)
	exec1(t, primary, "insert into t values (-1)")
	stored(t, r, primary)
	end := now(t, primary)
	until(t, "a sample", func() bool { return !r.Stats().Sampled.IsZero() })
	stats := r.Stats()
	t.Logf("%+v", stats)
	primary.Kill()
	c := list(t, g.Repository)
	reached, err := c.Reaches(at(1, c.Timelines[0].Segments[0].Start), end, 0)
	if err != nil {
		t.Fatalf("%+v, %v", reached, err)
	}
	g.recover(t, base)
	if got := query(t, base, "select count(*) || ' ' || sum(n) from t"); got != "300001 45000149999" {
		t.Errorf("there are %s", got)
	}
}

package members

import (
	"log/slog"
	"testing"
	"time"
)

const segment16 LSN = 16 << 20

func TestReached(t *testing.T) {
	for _, x := range []struct {
		name          string
		asked, replay LSN
		segment       LSN
		want          bool
	}{
		{"the same", 1000, 1000, segment16, true},
		{"behind", 1000, 999, segment16, false},
		{"ahead", 1000, 2000, segment16, true},
		{"at a page's header", 3*pageSize + pageHeader, 3 * pageSize, segment16, true},
		{"not yet at the page", 3*pageSize + pageHeader, 3*pageSize - 1, segment16, false},
		{"behind the header by a record", 3*pageSize + pageHeader + 8, 3 * pageSize, segment16, false},
		{"at a segment's header", 4*segment16 + segmentPageHeader, 4 * segment16, segment16, true},
		{"a page's beginning is no segment's", 3*pageSize + segmentPageHeader, 3 * pageSize, segment16, false},
		{"of small segments", 5<<20 + segmentPageHeader, 5 << 20, 1 << 20, true},
	} {
		if got := x.asked.reached(x.replay, x.segment); got != x.want {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
}

func TestSamples(t *testing.T) {
	var s samples
	h := history{"1", 1}
	if got := s.freshness(h, 1<<40, segment16); got != 0 {
		t.Fatalf("fresh to %v without a sample", got)
	}
	for i := range LSN(10_000) {
		s.add(sample{history: h, at: time.Duration(i + 1), lsn: 100 * (i + 1)})
	}
	if len(s.list) > maxSamples {
		t.Fatalf("%d samples are kept", len(s.list))
	}
	for replay := LSN(1_000_000); replay > 0; replay -= 777 {
		at := s.freshness(h, replay, segment16)
		if LSN(at)*100 > replay {
			t.Fatalf("fresh to %d at %d: that has not been replayed", at, replay)
		}
		if replay > 990_000 && LSN(at)*100 < replay-100 {
			t.Fatalf("fresh to %d only at %d: a recent sample is missing", at, replay)
		}
		if replay < 777 {
			break
		}
	}
	if got := s.freshness(history{"1", 2}, 1<<40, segment16); got != 0 {
		t.Fatalf("fresh to %v by another timeline's position", got)
	}
	s.add(sample{history: history{"1", 2}, at: 20_000, lsn: 5})
	if got := s.freshness(h, 1<<40, segment16); got != 0 {
		t.Fatalf("fresh to %v by the timeline before", got)
	}
}

func TestElect(t *testing.T) {
	member := func(r Role, timeline, was uint32) *Member {
		return &Member{seen: seen{role: r, history: history{timeline: timeline}}, timeline: was}
	}
	a, b := member(Primary, 1, 1), member(Standby, 1, 0)
	if got := elect(nil, nil, []*Member{a, b}); got != a {
		t.Error("the only primary is not elected")
	}
	a.seen = seen{}
	if got := elect(a, a, []*Member{a, b}); got != a {
		t.Error("a primary that cannot be reached is given up without another")
	}
	b.seen.role, b.seen.timeline = Primary, 2
	if got := elect(a, a, []*Member{a, b}); got != b {
		t.Error("a promoted standby is not elected")
	}
	a.seen = seen{role: Primary, history: history{timeline: 1}}
	if got := elect(b, b, []*Member{a, b}); got != b {
		t.Error("the old primary has come back and is elected")
	}
	if got := elect(nil, nil, []*Member{a, b}); got != b {
		t.Error("the lower timeline is elected")
	}
	b.seen.timeline = 1
	if got := elect(a, a, []*Member{a, b}); got != nil {
		t.Error("one of two primaries on one timeline is elected")
	}
	a.seen, b.seen = seen{role: Standby}, seen{role: Standby}
	if got := elect(a, a, []*Member{a, b}); got != nil {
		t.Error("a primary that has become a standby stays elected")
	}
	a.seen, b.seen = seen{}, seen{role: Primary, history: history{timeline: 1}}
	if got := elect(a, a, []*Member{a, b}); got != nil {
		t.Error("one that was not promoted takes the place of one that cannot be reached")
	}
	if got := elect(nil, a, []*Member{a, b}); got != nil {
		t.Error("it takes its place when it is asked for the second time")
	}
	b.seen.timeline = 2
	if got := elect(nil, a, []*Member{a, b}); got != b {
		t.Error("one that was promoted does not take the place of one that cannot be reached")
	}
	a, b = member(Primary, 1, 2), member(Unknown, 0, 0)
	a.moved.Store(true)
	if got := elect(nil, a, []*Member{a, b}); got != nil {
		t.Error("the leader's name leads to one that was replaced before, and that is elected")
	}
	a.system = "another cluster"
	if got := elect(nil, a, []*Member{a, b}); got != a {
		t.Error("the leader's name leads to another cluster, and that is not elected")
	}
}

// TestLeader has the old primary come back while the new one cannot be reached: it
// is not followed, however often it is asked.
func TestLeader(t *testing.T) {
	at := func(r Role, timeline uint32, lsn LSN) seen {
		return seen{role: r, history: history{"1", timeline}, lsn: lsn, segment: 16 << 20, started: "then", asked: Clock(), streamed: r == Standby}
	}
	a, b, c := &Member{Address: "a"}, &Member{Address: "b"}, &Member{Address: "c"}
	w := &Watch{cfg: Config{Log: slog.New(slog.DiscardHandler)}, sampled: make(chan struct{})}
	w.list.Store(&[]*Member{a, b, c})
	w.observe(a, at(Primary, 1, 100))
	w.observe(c, at(Standby, 1, 100))
	if c.Fresh() == 0 {
		t.Fatal("no fresh standby")
	}
	w.observe(a, seen{err: errProbe})
	sampled := c.Fresh()
	w.samples.add(sample{history: history{"1", 1}, at: sampled + 1, lsn: 200})
	w.observe(c, at(Standby, 2, 200))
	if c.Fresh() != sampled {
		t.Error("a position on another timeline counts while the primary cannot be reached")
	}
	w.observe(b, at(Primary, 2, 200))
	if w.Primary() != b {
		t.Fatal("the promoted one is not followed")
	}
	w.observe(b, seen{err: errProbe})
	for range 3 {
		if w.observe(a, at(Primary, 1, 300)); w.Primary() != nil {
			t.Fatalf("%s is followed, which was replaced", w.Primary().Address)
		}
	}
	if w.observe(b, at(Primary, 2, 210)); w.Primary() != b {
		t.Error("the promoted one is not followed when it is back")
	}
}

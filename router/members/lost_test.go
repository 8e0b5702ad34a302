package members

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// TestLostPrimary has standbys be asked at once when the primary is lost, and often
// until there is one: who waits for it waits no longer than it takes to promote one.
func TestLostPrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &Member{Address: "a"}, &Member{Address: "b"}
		w := &Watch{cfg: Config{Log: slog.New(slog.DiscardHandler)}, sampled: make(chan struct{})}
		w.list.Store(&[]*Member{a, b})
		h := history{"1", 1}
		w.observe(a, seen{role: Primary, history: h, lsn: 100, segment: 16 << 20})
		rest := func() time.Duration {
			begun := time.Now()
			w.awaitSample(context.Background(), w.sampled, true)
			return time.Since(begun)
		}
		if took := rest(); took < resting {
			t.Errorf("with a primary and no readers a standby is asked after %v", took)
		}
		next := w.sampled
		w.observe(a, seen{err: errors.New("connection reset")})
		select {
		case <-next:
		default:
			t.Error("the loss of the primary wakes nobody")
		}
		if took := rest(); took > 2*reading {
			t.Errorf("without a primary a standby is asked after %v", took)
		}
		next = w.sampled
		w.observe(a, seen{err: errors.New("connection refused")})
		if w.sampled != next {
			t.Error("it wakes them at each attempt to reach it")
		}
	})
}

// TestSevered has a standby receive no WAL any more, as it is the first to notice when
// the primary dies: it keeps what it has, and gets no fresher.
func TestSevered(t *testing.T) {
	a, b := &Member{Address: "a"}, &Member{Address: "b"}
	w := &Watch{cfg: Config{Log: slog.New(slog.DiscardHandler)}, sampled: make(chan struct{})}
	w.list.Store(&[]*Member{a, b})
	at := func(r Role, lsn LSN, streamed bool) seen {
		return seen{role: r, history: history{"1", 1}, lsn: lsn, segment: 16 << 20, started: "then", asked: Clock(), streamed: streamed}
	}
	w.observe(a, at(Primary, 100, false))
	w.observe(b, at(Standby, 100, true))
	fresh := b.Fresh()
	if fresh == 0 {
		t.Fatal("no fresh standby")
	}
	w.observe(a, at(Primary, 200, false))
	w.observe(b, at(Standby, 200, false))
	if got := b.Fresh(); got != fresh {
		t.Errorf("fresh to %v without WAL, %v before", got, fresh)
	}
	if rows := w.Rows(); rows[1].Ejected == "" {
		t.Error("nobody is told that it receives no WAL")
	}
	if w.Standby(fresh) != b || w.Standby(fresh+1) != nil {
		t.Error("it serves other reads than those that it has everything for")
	}
	w.observe(b, at(Standby, 200, true))
	if b.Fresh() <= fresh {
		t.Error("it gets no fresher once it receives WAL again")
	}
}

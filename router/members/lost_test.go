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

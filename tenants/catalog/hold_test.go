package catalog_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

const anOperation = "00000000-0000-4000-8000-000000000001"

// nodeThatHears is a node that goes by the catalog until stop.
func nodeThatHears(t *testing.T, c *catalog.Catalog, name string) (heard chan []catalog.Hold, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	heard, done := make(chan []catalog.Hold, 100), make(chan struct{})
	go func() {
		defer close(done)
		c.Follow(ctx, slog.New(slog.DiscardHandler), catalog.Follower{
			Node: name, Use: func(*catalog.Contents) {}, Held: func(now []catalog.Hold) { heard <- now },
		})
	}()
	return heard, func() { cancel(); <-done }
}

// hears waits until a node hears of holds as wanted.
func hears(t *testing.T, heard chan []catalog.Hold, what string, wanted func([]catalog.Hold) bool) {
	t.Helper()
	for end := time.After(20 * time.Second); ; {
		select {
		case now := <-heard:
			if wanted(now) {
				return
			}
		case <-end:
			t.Fatalf("a node does not hear of %s", what)
		}
	}
}

func testHolds(t *testing.T, c *catalog.Catalog, s *postgres.Server) {
	one, stopOne := nodeThatHears(t, c, "one")
	defer stopOne()
	two, stopTwo := nodeThatHears(t, c, "two")
	defer stopTwo()
	hears(t, one, "nothing", func(now []catalog.Hold) bool { return len(now) == 0 })
	hears(t, two, "nothing", func(now []catalog.Hold) bool { return len(now) == 0 })

	h, err := c.Hold(t.Context(), anOperation, []string{"acme", "ajax"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	held := func(now []catalog.Hold) bool {
		return len(now) == 1 && now[0].Epoch == h.Epoch && slices.Equal(now[0].Tenants, h.Tenants) && now[0].Lasts > 30*time.Second && !now[0].Ending
	}
	hears(t, one, "the hold", held)
	hears(t, two, "the hold", held)
	unheld := func(h *catalog.Hold, want ...string) {
		t.Helper()
		if got, err := c.Unheld(t.Context(), h); err != nil || !slices.Equal(got, want) {
			t.Errorf("not held at %q, %v; want %q", got, err, want)
		}
	}
	unheld(h, "one", "two")
	if err := c.Held(t.Context(), h, "two"); err != nil {
		t.Fatal(err)
	}
	unheld(h, "one")
	stopOne()
	unheld(h) // who stops in good order is not waited for

	again, err := c.Hold(t.Context(), anOperation, h.Tenants, time.Minute)
	if err != nil || again.Epoch == h.Epoch {
		t.Fatalf("begun again: %+v, %v", again, err)
	}
	unheld(again, "two") // it has not said so of this one
	if err := c.KeepHold(t.Context(), h); !errors.Is(err, catalog.ErrChanged) {
		t.Errorf("the hold before is kept: %v", err)
	}
	if err := c.KeepHold(t.Context(), again); err != nil {
		t.Error(err)
	}
	if err := c.Held(t.Context(), h, "two"); err != nil { // late
		t.Error(err)
	}
	unheld(again, "two")

	change(t, c, func(tx *catalog.Tx) error { return tx.EndHold(anOperation) })
	hears(t, two, "the end", func(now []catalog.Hold) bool { return len(now) == 1 && now[0].Ending && now[0].Epoch != again.Epoch })
	if err := c.ReleaseHold(t.Context(), again); err != nil { // it ends by itself
		t.Error(err)
	}
	if err := c.KeepHold(t.Context(), again); !errors.Is(err, catalog.ErrChanged) {
		t.Errorf("a hold that ends is kept: %v", err)
	}
	last, err := c.Hold(t.Context(), anOperation, h.Tenants, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	hears(t, two, "another", func(now []catalog.Hold) bool { return len(now) == 1 && !now[0].Ending })
	for _, h := range []*catalog.Hold{again, last} { // the first is of who had the operation before
		unheld(last, "two")
		if err := c.ReleaseHold(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	hears(t, two, "its release", func(now []catalog.Hold) bool { return len(now) == 0 })

	if _, err := c.Hold(t.Context(), anOperation, h.Tenants, -time.Second); err != nil { // it is over
		t.Fatal(err)
	}
	hears(t, two, "what is over as nothing", func(now []catalog.Hold) bool { return len(now) == 0 })
}

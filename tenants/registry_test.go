package tenants_test

import (
	"sync"
	"testing"
	"time"

	"howdah/tenants"
)

// numbered makes a snapshot that can be told from others: its only tenant has
// pool_size n.
func numbered(t testing.TB, n int) *tenants.Snapshot {
	return snapshot(t, tenants.Tenant{Name: "acme", Limits: tenants.Limits{PoolSize: n}})
}

func number(s *tenants.Snapshot) int {
	tn, _ := s.Lookup("acme", "")
	return tn.Limits.PoolSize
}

func TestRegistryGivesTheLatestSnapshot(t *testing.T) {
	first, next := numbered(t, 1), numbered(t, 2)
	r := tenants.NewRegistry(first)
	if r.Snapshot() != first {
		t.Fatal("not the snapshot it was made with")
	}
	r.Replace(next)
	if r.Snapshot() != next {
		t.Fatal("not the snapshot that replaced it")
	}
	if number(first) != 1 {
		t.Fatal("the old snapshot changed under its reader")
	}
}

func TestWatchWakesOncePerBurst(t *testing.T) {
	r := tenants.NewRegistry(numbered(t, 0))
	changes, stop := r.Watch()
	defer stop()
	other, stopOther := r.Watch()
	defer stopOther()
	for n := 1; n <= 5; n++ {
		r.Replace(numbered(t, n))
	}
	for _, c := range []<-chan struct{}{changes, other} {
		receive(t, c)
		if n := number(r.Snapshot()); n != 5 {
			t.Fatalf("woken to snapshot %d, want 5", n)
		}
		if len(c) != 0 {
			t.Fatal("a second wake-up for what was read")
		}
	}
	r.Replace(numbered(t, 6))
	receive(t, changes)
}

func TestWatchEndsWithStop(t *testing.T) {
	r := tenants.NewRegistry(numbered(t, 0))
	changes, stop := r.Watch()
	kept, stopKept := r.Watch()
	defer stopKept()
	stop()
	stop() // harmless
	r.Replace(numbered(t, 1))
	receive(t, kept)
	if len(changes) != 0 {
		t.Fatal("woken after stop")
	}
}

func TestRegistryUnderManyReadersAndWriters(t *testing.T) {
	r := tenants.NewRegistry(numbered(t, 0))
	const writers, replaces = 4, 50
	var work, watching sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		changes, stop := r.Watch()
		watching.Go(func() {
			defer stop()
			for {
				select {
				case <-changes:
					number(r.Snapshot())
				case <-done:
					return
				}
			}
		})
	}
	last, stop := r.Watch()
	defer stop()
	for range writers {
		work.Go(func() {
			for n := range replaces {
				r.Replace(numbered(t, n+1))
				_, stop := r.Watch()
				stop()
			}
		})
	}
	work.Wait()
	receive(t, last)
	if n := number(r.Snapshot()); n != replaces {
		t.Errorf("the last snapshot is %d, want %d", n, replaces)
	}
	close(done)
	watching.Wait()
}

func TestRegistryRefusesNoSnapshot(t *testing.T) {
	for name, misuse := range map[string]func(){
		"NewRegistry": func() { tenants.NewRegistry(nil) },
		"Replace":     func() { tenants.NewRegistry(numbered(t, 0)).Replace(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("took nil")
				}
			}()
			misuse()
		})
	}
}

func receive(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("not woken in 10 s")
	}
}

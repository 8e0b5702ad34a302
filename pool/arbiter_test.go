package pool

import (
	"testing"
	"time"
)

// crowded returns an arbiter whose seats are all taken by some of n shares, while
// the others wait.
func crowded(n int) (*arbiter, []*Share) {
	a := &arbiter{seats: n / 2, quantum: DefaultQuantum}
	shares := make([]*Share, n)
	for i := range shares {
		shares[i] = &Share{}
		shares[i].weight = 1
		a.ask(request{share: shares[i]}, work(i))
	}
	return a, shares
}

// A decision to seat or to queue, and one to keep a seat, allocate nothing.
func TestSeatDecisionsAllocateNothing(t *testing.T) {
	a, shares := crowded(1000)
	now := work(1000)
	if n := testing.AllocsPerRun(100, func() {
		now++
		r := request{share: shares[0]}
		if a.ask(r, now) {
			t.Fatal("a seat is free")
		}
		a.withdraw(r)
		if a.vacates(shares[0], tenancy{}, now) {
			t.Fatal("a seat is taken from who has but one, at once")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Seats never exceed the budget, and every ask is granted, in line or promised,
// whatever comes in which order: the simulator's stories assert it under load,
// this the books after a change of the budget's size.
func TestBudgetShrinks(t *testing.T) {
	a, shares := crowded(20)
	a.seats = 4
	closed := 0
	for _, s := range shares {
		for s.held > 0 && a.vacates(s, tenancy{idle: time.Hour}, 1) {
			closed++
		}
	}
	for range closed {
		a.vacated()
		for a.next(1).share != nil {
		}
	}
	if a.used > 4 || a.shed != 0 || closed < 6 {
		t.Errorf("%d seats used, %d to be given up, %d closed", a.used, a.shed, closed)
	}
}

// Who is promised a seat gets it when it has been vacated, not out of the
// reserve before.
func TestPromisedSeatsComeAsTheyAreVacated(t *testing.T) {
	a, shares := crowded(20)
	a.seats, a.reserve = 12, 2
	for _, s := range shares[:3] {
		a.opened(s, 1)
		if !a.vacates(s, tenancy{age: time.Hour}, 100) {
			t.Fatal("a seat that has had its turn is kept")
		}
	}
	for n := range 3 {
		if to := a.next(100); to.share != nil {
			t.Fatalf("%d seats promised are given out when %d have been vacated", n+1, n)
		}
		a.vacated()
		if to := a.next(100); to.share == nil || a.used != 10 {
			t.Fatalf("the seat that was vacated is not given out: %v, %d used", to, a.used)
		}
	}
}

func BenchmarkSeatOrQueue(b *testing.B) {
	a, shares := crowded(1000)
	now := work(1000)
	b.ReportAllocs()
	for i := range b.N {
		now++
		r := request{share: shares[i%500]}
		a.ask(r, now)
		a.withdraw(r)
	}
}

func BenchmarkKeepOrGive(b *testing.B) {
	a, shares := crowded(1000)
	b.ReportAllocs()
	for i := range b.N {
		a.vacates(shares[i%500], tenancy{}, 1)
	}
}

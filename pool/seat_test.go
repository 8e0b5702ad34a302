package pool_test

import (
	"testing"
	"time"

	"howdah/pool"
)

// Who waits asks for a seat once. When all servers were busy then, one that
// becomes idle later, too young to be taken at once, must be taken in time.
func TestIdleSeatGoesToWhoAskedWhileAllWereBusy(t *testing.T) {
	t.Parallel()
	budget := pool.NewBudget(pool.BudgetConfig{Seats: 1, Quantum: 500 * time.Millisecond})
	holder := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	waiter := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	for name, h := range map[string]*house{"holder": holder, "waiter": waiter} {
		h.on(func() { h.pool.Join(budget.On(h.loop).Share(name, pool.ShareConfig{Weight: 1})) })
	}
	busy := holder.acquire().server()
	late := waiter.acquire()
	if s := budget.Stats(); s.Waiting != 1 {
		t.Fatalf("%d tenants wait for a seat, want 1", s.Waiting)
	}
	holder.release(busy)
	waiter.release(late.server())
	if s := budget.Stats(); s.Used != 1 || s.Moved != 1 {
		t.Errorf("%d seats used, %d moved, want one of each", s.Used, s.Moved)
	}
}

// A process may begin anew before its last transaction has ended: at first it
// looks like one that holds a server and wants more. When that has ended it holds
// none, and must not get its first server out of the reserve: it would use up
// what others need who do hold some, and then want more than is left.
func TestReserveIsNotForAProcessThatHasEndedMeanwhile(t *testing.T) {
	t.Parallel()
	budget := pool.NewBudget(pool.BudgetConfig{Seats: 6, Reserve: 2})
	h := build(t, pool.Config{PoolSize: 6}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	h.on(func() { h.pool.Join(budget.On(h.loop).Share("shop", pool.ShareConfig{Weight: 1})) })
	var whole, ending, anna, bert pool.Process
	held := []*pool.Server{h.acquireAs(&anna).server(), h.acquireAs(&bert).server()}
	last, first := h.acquireAs(&ending).server(), h.acquireAs(&whole).server()
	all := []*pool.Server{first, h.acquireAs(&whole).server(), h.acquireAs(&whole).server()} // the reserve among them
	second := []*client{h.acquireAs(&anna), h.acquireAs(&bert)}
	anew := h.acquireAs(&ending)
	h.destroy(last)
	for _, s := range all {
		h.destroy(s)
	}
	held = append(held, second[0].server(), second[1].server())
	third := []*client{h.acquireAs(&anna), h.acquireAs(&bert)}
	h.eventually("somebody has the reserve", func() bool {
		return len(anew.answer)+len(third[0].answer)+len(third[1].answer) > 0
	})
	if len(anew.answer) > 0 {
		t.Fatal("a seat of the reserve has gone to a process that holds nothing")
	}
	one, other := 0, 1 // the reserve is one's at a time
	if len(third[1].answer) > 0 {
		one, other = 1, 0
	}
	h.release(third[one].server(), held[one], held[one+2])
	h.release(third[other].server(), held[other], held[other+2])
	h.release(anew.server())
}

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

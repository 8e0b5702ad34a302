package pool_test

import (
	"math/rand/v2"
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

// chain is a process that takes servers one after the other, n of them, and then
// gives all back.
type chain struct {
	house   *house
	process pool.Process
	servers []*pool.Server
	n       int
	done    chan struct{}
}

// step belongs to the loop's thread.
func (c *chain) step() {
	(&client{house: c.house, process: &c.process, told: func(s *pool.Server) {
		if c.servers = append(c.servers, s); len(c.servers) < c.n {
			c.house.loop.Post(c.step)
			return
		}
		c.house.loop.Post(func() {
			for _, s := range c.servers {
				c.house.pool.Release(s)
			}
			close(c.done)
		})
	}}).ask()
}

// Processes that hold a server each and want two more all end, where there is no
// lack of seats but the tenant has a limit: one at a time goes above it.
func TestProcessesThatHoldAndWaitAtALimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2, 3, 4} {
		for name, c := range map[string]struct{ poolSize, max int }{"pool_size": {limit, 0}, "max_db_connections": {50, limit}} {
			h := build(t, pool.Config{PoolSize: c.poolSize}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
			h.most = limit + 2
			budget := pool.NewBudget(pool.BudgetConfig{})
			h.on(func() { h.pool.Join(budget.On(h.loop).Share("shop", pool.ShareConfig{Weight: 1, Max: c.max})) })
			chains := make([]*chain, 6)
			for i := range chains {
				chains[i] = &chain{house: h, n: 3, done: make(chan struct{})}
				h.on(chains[i].step)
			}
			for _, c := range chains {
				await(t, c.done, "a process at "+name)
			}
		}
	}
}

// Seats of the reserve that nobody uses any more are not first seats of whoever
// comes next.
func TestReserveIsWholeAgainWhenItsProcessHasEnded(t *testing.T) {
	t.Parallel()
	budget := pool.NewBudget(pool.BudgetConfig{Seats: 4, Reserve: 2})
	h := build(t, pool.Config{PoolSize: 4}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	h.on(func() { h.pool.Join(budget.On(h.loop).Share("shop", pool.ShareConfig{Weight: 1})) })
	c := &chain{house: h, n: 4, done: make(chan struct{})}
	h.on(c.step)
	await(t, c.done, "a process with the reserve")
	h.eventually("the reserve's servers are closed", func() bool { return budget.Stats().Used == 2 })
	h.release(h.take(2)...)
}

// Minimums that have long been idle, more than are looked at in one go, do not
// hide an idle server behind them whose seat may be taken.
func TestIdleMinimumsHideNoSeat(t *testing.T) {
	t.Parallel()
	const kept = 20
	budget := pool.NewBudget(pool.BudgetConfig{Seats: kept + 1, Quantum: time.Millisecond})
	hall := openHall(t, nil)
	first := build(t, pool.Config{PoolSize: 2}, &pool.Member{}, &opener{address: hall.Addr()})
	tenant := func(h *house, c pool.ShareConfig) *house {
		h.on(func() { h.pool.Join(budget.On(h.loop).Share("tenant", c)) })
		return h
	}
	on := func(c pool.ShareConfig) *house {
		cfg := pool.Config{PoolSize: 2, QueryWaitTimeout: 5 * time.Second}
		return tenant(buildOn(t, first.loop, cfg, &pool.Member{}, &opener{address: hall.Addr()}), c)
	}
	tenant(first, pool.ShareConfig{Weight: 1})
	for range kept {
		h := on(pool.ShareConfig{Weight: 1, Min: 1})
		h.release(h.take(1)...)
	}
	first.release(first.take(1)...)
	late := on(pool.ShareConfig{Weight: 1})
	late.release(late.take(1)...)
}

// worker is one of many clients of a process: it has one short transaction after the
// other, n of them.
type worker struct {
	house   *house
	process *pool.Process
	n       int
	done    chan struct{}
}

// step belongs to the loop's thread.
func (w *worker) step() {
	(&client{house: w.house, process: w.process, told: func(s *pool.Server) {
		time.AfterFunc(100*time.Microsecond, func() {
			w.house.loop.Post(func() {
				w.house.pool.Release(s)
				if w.n--; w.n > 0 {
					time.AfterFunc(rand.N(500*time.Microsecond), func() { w.house.loop.Post(w.step) })
					return
				}
				close(w.done)
			})
		})
	}}).ask()
}

// A process with more clients than it may have servers always holds some and waits for
// more. No server is opened above a limit for that, to be closed at once: its clients
// wait for each other's transactions, which end.
func TestClientsOfOneProcessKeepToTheLimit(t *testing.T) {
	t.Parallel()
	const limit, few = 3, 40
	for name, c := range map[string]struct {
		pool  pool.Config
		share pool.ShareConfig
		user  bool
	}{
		"pool_size":            {pool: pool.Config{PoolSize: limit}},
		"max_db_connections":   {pool: pool.Config{PoolSize: 50}, share: pool.ShareConfig{Max: limit}},
		"max_user_connections": {pool: pool.Config{PoolSize: 50, MaxUserConnections: limit}, user: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t, c.pool, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
			h.most = limit + few
			h.on(func() {
				if c.user {
					h.pool.ClaimUser(&pool.User{})
				}
				c.share.Weight = 1
				h.pool.Join(pool.NewBudget(pool.BudgetConfig{}).On(h.loop).Share("shop", c.share))
			})
			var process pool.Process
			workers := make([]*worker, 4*limit)
			for i := range workers {
				workers[i] = &worker{house: h, process: &process, n: 600, done: make(chan struct{})}
				h.on(workers[i].step)
			}
			for _, w := range workers {
				await(t, w.done, "a worker")
			}
			// A busy machine may stop the loop for so long that somebody seems to be stuck, some
			// times; without the 50 ms it was hundreds.
			if n := h.opener.opens.Load(); n > limit+few {
				t.Errorf("%d servers were opened, the limit is %d; closed: %v", n, limit, h.stats().Ended)
			}
		})
	}
}

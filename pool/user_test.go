package pool_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"howdah/pool"
)

// ofUser builds a pool, on a loop of its own, whose servers count as u's.
func ofUser(t *testing.T, u *pool.User, most int, h *hall) *house {
	t.Helper()
	p := build(t, pool.Config{PoolSize: 10, MaxUserConnections: most}, &pool.Member{}, &opener{address: h.Addr()})
	p.on(func() { p.pool.ClaimUser(u) })
	return p
}

func TestUserHasNoMoreServersOverItsPools(t *testing.T) {
	t.Parallel()
	var u pool.User
	db := openHall(t, nil)
	one, other := ofUser(t, &u, 2, db), ofUser(t, &u, 2, db)
	held := one.take(2)
	late := other.acquire()
	one.release(held[0]) // it has two, the other none
	second := late.server()
	if n := db.peak.Load(); n > 2 {
		t.Errorf("%d servers at one time, want 2 at most", n)
	}
	if n := one.ended("max_user_connections"); n != 1 {
		t.Errorf("%d servers closed for the other pool, want 1", n)
	}
	one.release(held[1])
	other.release(second)
}

func TestServerThatIdlesGoesToTheUsersOtherPool(t *testing.T) {
	t.Parallel()
	var u pool.User
	db := openHall(t, nil)
	one, other := ofUser(t, &u, 1, db), ofUser(t, &u, 1, db)
	one.release(one.take(1)...)
	late := other.acquire()
	other.release(late.server())
	if n := db.peak.Load(); n > 1 {
		t.Errorf("%d servers at one time, want 1", n)
	}
}

func TestUserLimitOfWhoGoesIsAnothers(t *testing.T) {
	t.Parallel()
	var u pool.User
	db := openHall(t, nil)
	one, two, three := ofUser(t, &u, 1, db), ofUser(t, &u, 1, db), ofUser(t, &u, 1, db)
	held := one.take(1)
	gone, late := two.acquire(), three.acquire()
	two.on(func() { gone.waiter.Leave() })
	one.destroy(held[0])
	three.release(late.server())
}

func TestUserLimitRaisedAndLowered(t *testing.T) {
	t.Parallel()
	var u pool.User
	db := openHall(t, nil)
	h := ofUser(t, &u, 1, db)
	held := h.take(1)
	late := h.acquire()
	h.on(func() { h.pool.SetConfig(pool.Config{PoolSize: 10, MaxUserConnections: 2}) })
	held = append(held, late.server())
	h.on(func() { h.pool.SetConfig(pool.Config{PoolSize: 10, MaxUserConnections: 1}) })
	h.release(held...)
	h.eventually("one server is left", func() bool { return h.pool.Stats().Idle == 1 && h.pool.Stats().Closing == 0 })
}

// A process that holds a server and wants another would never give back the
// first.
func TestProcessMayHaveMoreThanItsUser(t *testing.T) {
	t.Parallel()
	var u pool.User
	db := openHall(t, nil)
	one, other := ofUser(t, &u, 1, db), ofUser(t, &u, 1, db)
	var process pool.Process
	first := one.acquireAs(&process).server()
	late := other.acquire()
	second := one.acquireAs(&process).server()
	one.release(first, second)
	other.release(late.server())
	one.eventually("the user has one server", func() bool { return db.now.Load() == 1 })
}

// Two processes hold a server each and want more: the one that may have more than
// the limit comes first, and when it has ended the other.
func TestProcessesThatWantMoreThanTheirUserEnd(t *testing.T) {
	t.Parallel()
	var u pool.User
	h := ofUser(t, &u, 2, openHall(t, nil))
	var anna, bert pool.Process
	held := []*pool.Server{h.acquireAs(&anna).server(), h.acquireAs(&bert).server()}
	held = append(held, h.acquireAs(&anna).server())
	late := h.acquireAs(&bert)
	third := h.acquireAs(&anna).server()
	h.release(third, held[2], held[0])
	h.release(late.server(), held[1])
}

// Pools on several loops share a user's few servers: all clients are served, and
// there are never more than may be.
func TestUserLimitUnderLoad(t *testing.T) {
	t.Parallel()
	const pools, most = 4, 3
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var u pool.User
	db := openHall(t, nil)
	var all sync.WaitGroup
	for i := range pools {
		h := ofUser(t, &u, most, db)
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 40 {
				clients := make([]*client, 1+random.IntN(4))
				for i := range clients {
					clients[i] = h.acquire()
				}
				if random.IntN(3) == 0 {
					h.on(func() {
						if w := clients[0].waiter; w != nil && len(clients[0].answer) == 0 {
							w.Leave()
							clients[0].Refused(fmt.Errorf("left"))
						}
					})
				}
				for _, c := range clients {
					a := await(t, c.answer, "a server")
					switch {
					case a.err != nil:
					case random.IntN(5) == 0:
						h.destroy(a.server)
					default:
						h.release(a.server)
					}
				}
				time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
			}
		})
	}
	all.Wait()
	if n := db.peak.Load(); n > most {
		t.Errorf("%d servers at one time, want %d at most", n, most)
	}
}

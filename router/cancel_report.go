package router

import (
	"slices"
	"sync"
)

// cancelID marks the identities of cancel requests, so that they are nobody
// else's.
const cancelID = 1 << 60

// cancels are the cancel requests of a Server that are on their way, oldest
// first.
type cancels struct {
	mu   sync.Mutex
	last uint64
	all  []*cancelling
}

// cancelling is a connection that brought a cancel request, and the one to the
// server that passes it on.
type cancelling struct {
	id   uint64
	r    *route
	from *about
}

func (x *cancels) begin(r *route, from *about) *cancelling {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.last++
	c := &cancelling{x.last | cancelID, r, from}
	x.all = append(x.all, c)
	return c
}

func (x *cancels) end(c *cancelling) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.all = slices.DeleteFunc(x.all, func(d *cancelling) bool { return d == c })
}

// count adds the requests to the pools that they belong to.
func (x *cancels) count(pools []PoolStats) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.all {
		i := slices.IndexFunc(pools, func(p PoolStats) bool { return p.Database == c.r.tenant.name && p.User == c.r.key.user })
		if i >= 0 {
			pools[i].ClientsCanceling++
		}
	}
}

// rows describes all with f.
func (x *cancels) rows(f func(*cancelling) ConnStats) (rows []ConnStats) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.all {
		rows = append(rows, f(c))
	}
	return rows
}

// clientStats has no user: a cancel request shows a key only.
func (c *cancelling) clientStats() ConnStats {
	row := c.stats("C", "active_cancel_req", c.id, c.id|1<<62)
	row.Addr, row.Port = split(c.from.address)
	row.LocalAddr, row.LocalPort = split(c.from.local)
	return row
}

func (c *cancelling) serverStats() ConnStats {
	row := c.stats("S", "active_cancel", c.id|1<<62, c.id)
	row.User = c.r.key.user
	row.Addr, row.Port = split(c.r.member.Load().Address)
	return row
}

// stats is what both sides have in common.
func (c *cancelling) stats(side, state string, id, link uint64) ConnStats {
	return ConnStats{
		Type: side, Database: c.r.tenant.name, Replication: "none", State: state,
		ConnectTime: c.from.connectTime(), RequestTime: c.from.connectTime(), ID: id, Link: link,
	}
}

// canceling reports whether c has a server that it would have given back but
// for a cancel request on its way.
func (c *client) canceling() bool {
	return c.server != nil && c.backend.cancels > 0 && c.releasable()
}

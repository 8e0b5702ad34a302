package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	console "howdah/admin"
	"howdah/router"
)

// Pool is a row of the console's SHOW POOLS.
type Pool struct {
	Database            string `json:"database"`
	User                string `json:"user"`
	ClActive            int    `json:"cl_active" doc:"clients, those without work too"`
	ClWaiting           int    `json:"cl_waiting" doc:"clients that wait for a server"`
	ClActiveCancelReq   int    `json:"cl_active_cancel_req"`
	ClWaitingCancelReq  int    `json:"cl_waiting_cancel_req"`
	SvActive            int    `json:"sv_active" doc:"servers that work for a client"`
	SvActiveCancel      int    `json:"sv_active_cancel"`
	SvBeingCanceled     int    `json:"sv_being_canceled"`
	SvIdle              int    `json:"sv_idle"`
	SvUsed              int    `json:"sv_used"`
	SvTested            int    `json:"sv_tested"`
	SvLogin             int    `json:"sv_login"`
	MaxWait             int64  `json:"maxwait" doc:"seconds that the oldest waiting client has waited"`
	MaxWaitMicroseconds int64  `json:"maxwait_us" doc:"and microseconds"`
	PoolMode            string `json:"pool_mode"`
}

func poolOf(p *router.PoolStats) Pool {
	us := p.MaxWait.Microseconds()
	return Pool{
		Database: p.Database, User: p.User, ClActive: p.ClientsActive + p.ClientsIdle, ClWaiting: p.ClientsWaiting,
		ClActiveCancelReq: p.ClientsCanceling, SvActive: p.ServersActive, SvActiveCancel: p.ClientsCanceling,
		SvBeingCanceled: p.ServersCanceling, SvIdle: p.ServersIdle, SvUsed: p.ServersUsed, SvTested: p.ServersTested, SvLogin: p.ServersLogin,
		MaxWait: us / 1e6, MaxWaitMicroseconds: us % 1e6, PoolMode: p.Mode,
	}
}

// Counters are what a database has done. Times are in microseconds.
type Counters struct {
	Assignments  uint64 `json:"server_assignment_count"`
	Transactions uint64 `json:"xact_count"`
	Queries      uint64 `json:"query_count"`
	Received     uint64 `json:"received" doc:"bytes from clients"`
	Sent         uint64 `json:"sent" doc:"bytes to clients"`
	TxTime       uint64 `json:"xact_time"`
	QueryTime    uint64 `json:"query_time"`
	WaitTime     uint64 `json:"wait_time" doc:"of clients, for a server"`
	ClientParses uint64 `json:"client_parse_count"`
	ServerParses uint64 `json:"server_parse_count"`
	Binds        uint64 `json:"bind_count"`
}

func countersOf(c *router.Counters) Counters {
	return Counters{
		c.Assignments, c.Transactions, c.Queries, c.Received, c.Sent,
		c.TxTime, c.QueryTime, c.WaitTime, c.ClientParses, c.ServerParses, c.Binds,
	}
}

// Stats are a row of the console's SHOW STATS.
type Stats struct {
	Database string   `json:"database"`
	Total    Counters `json:"total" doc:"since Howdah was started"`
	Average  Counters `json:"avg" doc:"counts and bytes a second of the last minute; times of one transaction, query or wait"`
}

// Seats are what a cluster's server connections are like now: a row of SHOW BUDGET.
type Seats struct {
	Used             int    `json:"used"`
	WaitingTenants   int    `json:"waiting_tenants"`
	WaitingProcesses int    `json:"waiting_processes" doc:"of those that hold a server and want one more"`
	Moved            uint64 `json:"moved" doc:"seats that went from one tenant to another"`
}

func (s *server) figures(api huma.API) {
	huma.Register(api, operation("list-pools", "GET", "/pools", "What the pools of this node are like now", viewer), s.pools)
	huma.Register(api, operation("list-stats", "GET", "/stats", "What databases have done on this node", viewer), s.stats)
}

// OfDatabase narrows an answer down.
type OfDatabase struct {
	Database string `query:"database" doc:"only those of one"`
}

func (d OfDatabase) wants(name string) bool { return d.Database == "" || d.Database == name }

func (s *server) pools(_ context.Context, in *OfDatabase) (*struct{ Body []Pool }, error) {
	all := []Pool{}
	for _, p := range s.Console.PoolStats() {
		if in.wants(p.Database) {
			all = append(all, poolOf(&p))
		}
	}
	return &struct{ Body []Pool }{all}, nil
}

func (s *server) stats(_ context.Context, in *OfDatabase) (*struct{ Body []Stats }, error) {
	all := []Stats{}
	for _, d := range s.Console.DatabaseStats() {
		if in.wants(d.Name) {
			all = append(all, Stats{d.Name, countersOf(&d.Total), countersOf(&d.Average)})
		}
	}
	return &struct{ Body []Stats }{all}, nil
}

// seats are those of each cluster that is in use, by its name.
func seats(p console.Pooler) map[string]*Seats {
	all := map[string]*Seats{}
	for _, b := range p.Budgets() {
		all[b.Cluster] = &Seats{b.Used, b.Waiting, b.Wanted, b.Moved}
	}
	return all
}

package router

import (
	"maps"
	"net"
	"slices"
	"sort"
	"strings"
	"time"

	"howdah/pool"
	"howdah/tenants"
)

// budgetOf returns the budget of a cluster's primary, or of one of its standbys, which
// all loops share, as it is now.
func (s *Server) budgetOf(snapshot *tenants.Snapshot, cluster, standby string) *pool.Budget {
	c, _ := snapshot.Cluster(cluster)
	cfg := pool.BudgetConfig{Reserve: -1}
	if c != nil {
		cfg.Seats, cfg.Reserve, cfg.Quantum = c.Budget, c.BudgetReserve, c.SeatQuantum
	}
	if standby != "" {
		cfg.Reserve = 0 // who cannot have a seat there has one at the primary
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := budgetKey{cluster, standby}
	e := s.budgets[key]
	if e == nil {
		e = &clusterBudget{Budget: pool.NewBudget(cfg), config: cfg}
		s.budgets[key] = e
	}
	if e.config != cfg {
		e.config = cfg
		e.Configure(cfg)
	}
	return e.Budget
}

// adjustBudgets brings all budgets to what the registry says.
func (s *Server) adjustBudgets(snapshot *tenants.Snapshot) {
	s.mu.Lock()
	keys := slices.Collect(maps.Keys(s.budgets))
	s.mu.Unlock()
	for _, key := range keys {
		s.budgetOf(snapshot, key.cluster, key.standby)
	}
}

// budgetKey names a budget: that of a cluster's primary, or of a standby by its
// address.
type budgetKey struct{ cluster, standby string }

// clusterBudget is a budget and what it was last told.
type clusterBudget struct {
	*pool.Budget
	config pool.BudgetConfig
}

// joinBudget gives a tenant its share, or brings that up to date, and those at
// standbys.
func (t *tenant) joinBudget(w *worker) {
	c := pool.ShareConfig{Weight: float64(t.limits.Weight), Min: t.limits.MinPoolSize, Max: t.limits.MaxDBConnections}
	if t.share == nil {
		t.share = w.server.budgetOf(w.server.registry.Snapshot(), t.cluster, "").On(w.loop).Share(t.name, c)
		return
	}
	t.share.Configure(c)
	c.Min = 0
	for _, share := range t.away {
		share.Configure(c)
	}
}

// shareAt returns the tenant's share of a standby's budget.
func (t *tenant) shareAt(w *worker, standby string) *pool.Share {
	share := t.away[standby]
	if share == nil {
		c := pool.ShareConfig{Weight: float64(t.limits.Weight), Max: t.limits.MaxDBConnections}
		share = w.server.budgetOf(w.server.registry.Snapshot(), t.cluster, standby).On(w.loop).Share(t.name, c)
		if t.away == nil {
			t.away = map[string]*pool.Share{}
		}
		t.away[standby] = share
	}
	return share
}

// countedUser is a user's servers, and how many routes count theirs in.
type countedUser struct {
	pool.User
	routes int
}

// countUser has a route's servers count as its user's, on whatever loop.
func (s *Server) countUser(r *route) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[r.key.user]
	if u == nil {
		u = &countedUser{}
		s.users[r.key.user] = u
	}
	u.routes++
	r.pool.ClaimUser(&u.User)
}

// claimUser has the servers of another pool of a route that is counted count too.
func (s *Server) claimUser(r *route) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.pool.ClaimUser(&s.users[r.key.user].User)
}

// uncountUser forgets a user with the last route of its.
func (s *Server) uncountUser(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[name]
	if u.routes--; u.routes == 0 {
		delete(s.users, name)
	}
}

// process is an application's process and how many clients it has.
type process struct {
	pool.Process
	key     processKey
	clients int
}

// processKey is what can be seen of a process. Several containers behind one
// address may look like one: it then has precedence that it does not need.
type processKey struct{ user, host, application string }

// processOf returns the process that a client belongs to, nil where it does not
// say which.
func (t *tenant) processOf(user, address, application string) *process {
	if application == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	key := processKey{user, host, application}
	p := t.processes[key]
	if p == nil {
		if t.processes == nil {
			t.processes = map[processKey]*process{}
		}
		p = &process{key: key}
		t.processes[key] = p
	}
	p.clients++
	return p
}

// leaveProcess counts a client out. Servers that it still holds know p.
func (t *tenant) leaveProcess(p *process) {
	if p == nil {
		return
	}
	if p.clients--; p.clients == 0 {
		delete(t.processes, p.key)
	}
}

// own returns what the pool knows a client's process by.
func (p *process) own() *pool.Process {
	if p == nil {
		return nil
	}
	return &p.Process
}

// BudgetRow is the budget of a cluster's primary, or of a standby.
type BudgetRow struct {
	Cluster string // with a standby's address behind it
	pool.BudgetStats
}

// Budgets returns the budgets of the clusters in use, by name.
func (s *Server) Budgets() (rows []BudgetRow) {
	s.mu.Lock()
	for key, b := range s.budgets {
		rows = append(rows, BudgetRow{Cluster: strings.TrimSpace(key.cluster + " " + key.standby), BudgetStats: b.Stats()})
	}
	s.mu.Unlock()
	sort.Slice(rows, func(i, j int) bool { return rows[i].Cluster < rows[j].Cluster })
	return rows
}

// BlameRow says for how long a tenant's clients have waited because of whom.
type BlameRow struct {
	Cluster, Tenant, Because string
	Waited                   time.Duration
}

// Blame returns who waited for whom since the tenants in use were first used,
// the longest first.
func (s *Server) Blame() []BlameRow {
	each := make([][]BlameRow, len(s.workers))
	s.everyWorker(func(w *worker) {
		for _, t := range w.tenants {
			if t.share == nil {
				continue
			}
			t.share.Blame(func(because string, d time.Duration) {
				each[w.index] = append(each[w.index], BlameRow{t.cluster, t.name, because, d})
			})
		}
	})
	var rows []BlameRow
	for _, r := range each {
		rows = append(rows, r...)
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].Waited > rows[j].Waited })
	return rows
}

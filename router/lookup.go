package router

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"howdah/pool"
	"howdah/tenants"
	"howdah/wire"
)

// What a cluster said of a user's secret is believed for so long; that there is
// no such user, only briefly, for the next thing may be that somebody makes it.
const (
	lookupKept    = 60 * time.Second
	lookupMissed  = 5 * time.Second
	lookupTimeout = 10 * time.Second // of one question, dialling included
	lookupIdle    = 60 * time.Second // after which the connection is closed
	lookupRetry   = time.Second      // between attempts at a member that cannot be reached
	maxLookups    = 10_000           // answers kept
	maxUserLen    = 63               // no role's name is longer (NAMEDATALEN)
)

// errLookup is what a client is told whose secret cannot be looked up.
var errLookup = wire.Fatal(wire.CodeConnectionFailure, "cannot look the user's password up", "Howdah's log says why.")

// lookupKey is whose secret was asked for, and where.
type lookupKey struct{ cluster, user string }

// answer is what a cluster said, "" for no user who may log in by password.
type answer struct {
	verifier string
	at       time.Time
}

func (a answer) fresh(now time.Time) bool {
	if a.verifier == "" {
		return now.Sub(a.at) < lookupMissed
	}
	return now.Sub(a.at) < lookupKept
}

// lookups ask clusters for the secrets of users that the registry does not
// have: the auth_query. Each cluster is asked on a connection of its own, by
// the auth_user, on which no client's setting is ever applied.
type lookups struct {
	mu      sync.Mutex // guards what follows
	answers map[lookupKey]answer
	askers  map[string]*asker // by cluster
	closed  bool
}

// asker is the connection to one cluster. Whoever has put something into busy
// owns the rest.
type asker struct {
	busy    chan struct{}
	ctx     context.Context // ends with forget
	end     context.CancelFunc
	conn    *wire.Established // nil = none
	budget  *pool.Budget      // in which it has a seat
	failure error             // of the last attempt to dial
	failed  time.Time
	idle    *time.Timer
}

// verifierOf returns the secret of the client's user as the cluster has it, ""
// where there is none. It is the cluster of the database that was asked for, or,
// so that strangers cannot tell which databases there are, the first that can
// be asked.
func (l *login) verifierOf(snapshot *tenants.Snapshot) (string, error) {
	if l.server.virtual[l.database] != nil || len(l.user) > maxUserLen {
		return "", nil
	}
	cluster, ok := snapshot.ClusterOf(l.database, l.user)
	if !ok {
		for c := range snapshot.Clusters() {
			if c.AuthUser != "" {
				cluster = c
				break
			}
		}
	}
	if cluster == nil || cluster.AuthUser == "" {
		return "", nil
	}
	l.asked = lookupKey{cluster.Name, l.user}
	ctx, cancel := context.WithTimeout(l.server.ctx, lookupTimeout)
	defer cancel()
	verifier, err := l.server.lookups.verifier(ctx, l.server, snapshot, cluster, l.user)
	if err != nil {
		l.server.log.Error("cannot look a user up", "cluster", cluster.Name, "user", l.user, "error", err)
		return "", errLookup
	}
	return verifier, nil
}

// cached returns what is still believed.
func (u *lookups) cached(key lookupKey) (string, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	a, ok := u.answers[key]
	if !ok || !a.fresh(time.Now()) {
		return "", false
	}
	return a.verifier, true
}

// keep remembers an answer, in the place of any other where there are too many.
func (u *lookups) keep(key lookupKey, verifier string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.answers == nil {
		u.answers = make(map[lookupKey]answer)
	}
	for other := range u.answers {
		if len(u.answers) < maxLookups {
			break
		}
		delete(u.answers, other)
	}
	u.answers[key] = answer{verifier, time.Now()}
}

// drop forgets an answer that did not hold. One younger than a second stays, or
// whoever tries passwords would have the cluster asked each time.
func (u *lookups) drop(key lookupKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if a, ok := u.answers[key]; ok && time.Since(a.at) > lookupRetry {
		delete(u.answers, key)
	}
}

// altered forgets what a session of a role on a cluster may have changed by
// ALTER ROLE: a superuser anybody's secret, others their own.
func (u *lookups) altered(cluster, by string, superuser bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !superuser {
		delete(u.answers, lookupKey{cluster, by})
		return
	}
	for key := range u.answers {
		if key.cluster == cluster {
			delete(u.answers, key)
		}
	}
}

// forget drops all answers and closes the connections. With last set no other
// is opened.
func (u *lookups) forget(last bool) {
	u.mu.Lock()
	clear(u.answers)
	u.closed = u.closed || last
	askers := u.askers
	u.askers = nil
	u.mu.Unlock()
	for _, a := range askers {
		a.end()
		a.busy <- struct{}{}
		a.hangUp()
		<-a.busy
	}
}

// asker returns the cluster's, nil when there are to be no more.
func (u *lookups) asker(cluster string) *asker {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil
	}
	a := u.askers[cluster]
	if a == nil {
		if u.askers == nil {
			u.askers = make(map[string]*asker)
		}
		a = &asker{busy: make(chan struct{}, 1)}
		a.ctx, a.end = context.WithCancel(context.Background())
		u.askers[cluster] = a
	}
	return a
}

// verifier returns what the cluster says, or has lately said, of a user.
func (u *lookups) verifier(ctx context.Context, s *Server, snapshot *tenants.Snapshot, c *tenants.Cluster, user string) (string, error) {
	for {
		if v, ok := u.cached(lookupKey{c.Name, user}); ok {
			return v, nil
		}
		a := u.asker(c.Name)
		if a == nil {
			return "", errShutdown
		}
		v, err := u.askWith(ctx, a, s, snapshot, c, user)
		if err == nil || a.ctx.Err() == nil || ctx.Err() != nil {
			return v, err
		} // else a reload has closed the connection
	}
}

func (u *lookups) askWith(ctx context.Context, a *asker, s *Server, snapshot *tenants.Snapshot, c *tenants.Cluster, user string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()
	select {
	case a.busy <- struct{}{}:
		defer func() { <-a.busy }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	key := lookupKey{c.Name, user}
	if v, ok := u.cached(key); ok { // whoever was before us asked the same
		return v, nil
	}
	if err := a.ctx.Err(); err != nil {
		return "", err
	}
	rows, err := a.ask(ctx, s, snapshot, c, user)
	if err != nil {
		return "", err
	}
	v, err := verifierIn(rows, user)
	if err == nil {
		u.keep(key, v)
	}
	return v, err
}

// verifierIn takes the secret from the query's rows: name and secret.
func verifierIn(rows [][]*string, user string) (string, error) {
	switch {
	case len(rows) == 0:
		return "", nil
	case len(rows) > 1 || len(rows[0]) < 2:
		return "", fmt.Errorf("auth_query gives %d rows of %d columns, want one of a name and a secret", len(rows), len(rows[0]))
	case rows[0][0] == nil || *rows[0][0] != user:
		return "", errors.New("auth_query gives another user than was asked for")
	case rows[0][1] == nil || *rows[0][1] == "":
		return "", nil
	}
	if err := tenants.CheckVerifier(*rows[0][1]); err != nil {
		return "", fmt.Errorf("auth_query gives no verifier: %w", err)
	}
	return *rows[0][1], nil
}

// ask runs the query, once more where the connection turns out to be dead.
func (a *asker) ask(ctx context.Context, s *Server, snapshot *tenants.Snapshot, c *tenants.Cluster, user string) ([][]*string, error) {
	for {
		old := a.conn != nil
		if err := a.dial(ctx, s, snapshot, c); err != nil {
			return nil, err
		}
		rows, err := a.conn.Ask(ctx, c.AuthQuery, user)
		if err == nil {
			a.idle = time.AfterFunc(lookupIdle, a.rest)
			return rows, nil
		}
		a.hangUp()
		if _, refused := err.(*wire.Error); refused || !old || ctx.Err() != nil {
			return nil, err
		}
	}
}

// rest closes a connection that nobody has used for long.
func (a *asker) rest() {
	select {
	case a.busy <- struct{}{}:
		a.hangUp()
		<-a.busy
	default: // somebody uses it
	}
}

func (a *asker) hangUp() {
	if a.idle != nil {
		a.idle.Stop()
	}
	if a.conn != nil {
		a.conn.Conn.Close()
		a.conn = nil
		a.budget.Give()
	}
}

// dial opens the connection unless there is one. Its search_path is fixed from
// the first packet on, so that neither the role's own settings nor what others
// put into schemas decide what the query's names mean.
func (a *asker) dial(ctx context.Context, s *Server, snapshot *tenants.Snapshot, c *tenants.Cluster) error {
	if a.idle != nil {
		a.idle.Stop()
	}
	if a.conn != nil {
		return nil
	}
	if time.Since(a.failed) < lookupRetry {
		return a.failure
	}
	m, _, err := s.memberOf(snapshot, c.Name)
	if err != nil {
		return err
	}
	dc := s.dialConfig(m)
	dc.Parameters = []wire.Parameter{
		{Name: "user", Value: c.AuthUser},
		{Name: "database", Value: c.AuthDatabase},
		{Name: "search_path", Value: "pg_catalog"},
		{Name: "client_encoding", Value: "UTF8"},
		{Name: "default_transaction_read_only", Value: "on"},
		{Name: "application_name", Value: "howdah auth_query"},
	}
	if u, ok := snapshot.User(c.AuthUser); ok && u.ServerSecret != "" {
		dc.Secret = *serverSecret(u.ServerSecret)
	}
	a.budget = s.budgetOf(s.registry.Snapshot(), c.Name, "")
	a.budget.Take()
	if a.conn, err = wire.Dial(ctx, dc); err != nil {
		a.conn, a.failure, a.failed = nil, err, time.Now()
		a.budget.Give()
	}
	return err
}

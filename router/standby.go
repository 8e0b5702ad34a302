package router

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"howdah/pool"
	"howdah/router/members"
	"howdah/tenants"
	"howdah/wire"
)

// A transaction that says READ ONLY may run at a standby, if that has everything
// the database's clients have written, and if nothing in its first statement is
// told otherwise there, or means something else (standby_text.go). There is no way
// back from a standby: where the transaction runs is decided when it needs a
// server for the first time.

// standby is a route's way to one standby.
type standby struct {
	route  *route
	member *member
	at     *members.Member
	pool   *pool.Pool
}

// standbyPatience is how long a transaction waits for a server at a standby before
// it takes one at the primary instead.
const standbyPatience = time.Second

var errRestarted = errors.New("router: the standby is another instance than the one that was asked how fresh it is")

// whereTo decides where a transaction of the client's runs that begins with the
// message in b: at a standby, if one is returned.
func (c *client) whereTo(h wire.Header, b []byte) (*standby, chosen) {
	w := c.route.watch
	if w == nil || c.route.reads.Split == tenants.SplitOff || c.attrs.Writing() || c.athome || c.login != nil || !c.mayStandBy() || c.dumps() {
		return nil, anywhere
	}
	text, ok := c.firstText(h, b)
	if !ok || !(c.saidToRead(text) && meansSame(text, c.vars)) && !c.onlyReads(text, h, b) {
		return nil, anywhere
	}
	return c.choose(w)
}

// mayStandBy reports whether a transaction that begins now could run at a standby,
// whatever it is: it is none that a standby refuses, and brings nothing along that
// only its last server has.
func (s *session) mayStandBy() bool {
	if s.mode != tenants.Transaction || s.status == wire.TxFailed || s.pins != 0 || s.portal != nil || s.ranHere {
		return false
	}
	isolation, access := s.deferred.index()%isolations, s.deferred.index()/isolations%accesses
	if isolation == 0 && s.vars.serializable {
		return false
	}
	return isolation != 4 && access != 1
}

// lastWrite returns up to when the transaction must see what was written.
func (c *client) lastWrite() time.Duration {
	if c.route.reads.OwnWrites == tenants.OfSession {
		return c.own
	}
	return c.route.database.Load().writes.last()
}

// firstText returns the statement that the message is about, if all of it is in b.
func (s *session) firstText(h wire.Header, b []byte) (text []byte, ok bool) {
	if len(b) < h.Len {
		return nil, false
	}
	switch h.Type {
	case wire.Query:
		return b[wire.HeaderLen : h.Len-1], true
	case wire.Parse:
		m, err := wire.ParseParse(b[wire.HeaderLen:h.Len])
		return m.Text, err == nil
	case wire.Bind:
		m, err := wire.ParseBind(b[wire.HeaderLen:h.Len])
		if err != nil {
			return nil, false
		}
		if st := s.meant(m.Statement); st != nil {
			return s.textOf(st), true
		}
	}
	return nil, false
}

// textOf returns a prepared statement's text, until the next one is asked for.
func (s *session) textOf(st *statement) []byte {
	s.shared.text = append(s.shared.text[:0], st.key.text...)
	return s.shared.text
}

// standbyComment in front of a statement asks for a standby.
const standbyComment = "/* howdah: standby */"

func asksForStandby(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte(standbyComment))
}

// readOnly reports whether BEGIN said READ ONLY.
func (o txOptions) readOnly() bool { return o != 0 && o.index()/isolations%accesses == 2 }

// standbyAt returns the route's pool at a standby, made if need be.
func (r *route) standbyAt(at *members.Member) *standby {
	for _, s := range r.standbys {
		if s.at == at {
			return s
		}
	}
	snapshot := r.w.server.registry.Snapshot()
	m, err := r.w.server.standbyMember(snapshot, r.databaseKey().cluster, at.Address)
	if err != nil {
		r.w.log.Error("cannot go to standby", "member", at.Address, "error", err)
		return nil
	}
	s := &standby{route: r, member: m, at: at}
	s.pool = pool.New(r.w.loop, &m.Member, standbyConfig(r.limits), s, s, &r.tenant.group)
	s.pool.Join(r.tenant.shareAt(r.w, m.Address))
	if r.paused() {
		pause(s.pool)
	}
	r.standbys = append(r.standbys, s)
	return s
}

// everyPool runs f for each pool of the route's.
func (r *route) everyPool(f func(*pool.Pool)) {
	f(r.pool)
	for _, s := range r.standbys {
		f(s.pool)
	}
}

// close closes the route's pools.
func (r *route) close() { r.everyPool((*pool.Pool).Close) }

// empty reports whether no pool of the route's has a server or somebody waiting.
func (r *route) empty() bool {
	empty := true
	r.everyPool(func(p *pool.Pool) { empty = empty && p.Empty() })
	return empty
}

// stats are the numbers of the route's pools together.
func (r *route) stats() pool.Stats {
	sum := r.pool.Stats()
	if len(r.standbys) == 0 {
		return sum
	}
	sum.Ended = maps.Clone(sum.Ended)
	for _, s := range r.standbys {
		n := s.pool.Stats()
		sum.Login += n.Login
		sum.Idle += n.Idle
		sum.Tested += n.Tested
		sum.Active += n.Active
		sum.Closing += n.Closing
		sum.Waiting += n.Waiting
		sum.MaxWait = max(sum.MaxWait, n.MaxWait)
		for reason, n := range n.Ended {
			sum.Ended[reason] += n
		}
	}
	return sum
}

// leaveStandbys closes the pools at standbys, which may be none any more.
func (r *route) leaveStandbys() {
	standbys := r.standbys
	r.standbys = nil
	for _, s := range standbys {
		s.pool.Close()
	}
}

// standbyConfig is that of a pool at a standby: who cannot have a server there soon
// has one at the primary.
func standbyConfig(l *tenants.Limits) pool.Config {
	c := poolConfig(l)
	c.MinPoolSize, c.ReservePoolSize, c.FailFast = 0, 0, true
	if c.QueryWaitTimeout == 0 || c.QueryWaitTimeout > standbyPatience {
		c.QueryWaitTimeout = standbyPatience
	}
	return c
}

// Open implements pool.Opener. The server must be the very instance of which the
// freshness is known: one that was restarted has forgotten what it had replayed.
func (s *standby) Open(ctx context.Context) (*wire.Established, error) {
	e, err := s.route.dial(ctx, s.member)
	if err != nil {
		return nil, err
	}
	same, err := isInstance(ctx, e, s.at)
	if err == nil && !same {
		err = errRestarted
	}
	if err == nil {
		err = s.route.checkOwner(ctx, e)
	}
	if err != nil {
		e.Conn.Close()
		return nil, fmt.Errorf("open server at standby %s: %w", s.member.Address, err)
	}
	return e, nil
}

// Cancel implements pool.Opener.
func (s *standby) Cancel(ctx context.Context, key wire.Key) error {
	return wire.SendCancel(ctx, s.route.w.server.dialConfig(s.member), key)
}

// Opened implements pool.Observer. A client is not told that it is at a standby.
func (s *standby) Opened(server *pool.Server) {
	told := make([]wire.Parameter, 0, len(server.Parameters))
	for _, p := range server.Parameters {
		if p.Name == "in_hot_standby" {
			p.Value = "off"
		}
		told = append(told, p)
	}
	s.route.w.remember(server, s.route.w.shared.vars.of(told))
}

// Reported implements pool.Observer.
func (s *standby) Reported(server *pool.Server, name, value []byte) {
	if string(name) == "in_hot_standby" {
		return
	}
	b, table := server.Data.(*backend), &s.route.w.shared.vars
	b.vars = table.with(b.vars, string(name), string(value))
	b.base = table.with(b.base, string(name), string(value))
}

// Closed implements pool.Observer.
func (s *standby) Closed(server *pool.Server) { s.route.w.dropBackend(server) }

// Emptied implements pool.Observer.
func (s *standby) Emptied() {
	if !s.route.dropped {
		s.route.dropIfUnused()
	}
}

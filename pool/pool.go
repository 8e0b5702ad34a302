package pool

import (
	"context"
	"errors"
	"time"

	"howdah/wire"
	"howdah/wire/loop"
)

// ErrClosed refuses clients of a pool that has been closed.
var ErrClosed = errors.New("pool: closed")

// Config holds a pool's limits and timeouts. The words are PgBouncer's; a zero
// duration switches the timeout off.
type Config struct {
	PoolSize           int           // servers at most
	MinPoolSize        int           // servers kept open, once somebody has logged in
	ReservePoolSize    int           // servers above PoolSize for clients that waited ReservePoolTimeout
	ReservePoolTimeout time.Duration // 0 means the reserve is never used
	QueryWaitTimeout   time.Duration // a client waits at most so long
	ServerLifetime     time.Duration // older servers close when they become idle
	ServerIdleTimeout  time.Duration // servers idle for longer close
	ConnectTimeout     time.Duration // for dialling and logging in
	LoginRetry         time.Duration // longest pause between attempts to reach a member that fails; 0 is 15 s
	CheckDelay         time.Duration // a server idle for longer runs CheckQuery before it is given out
	CheckQuery         string        // empty: servers are never checked
	FailFast           bool          // who waits is refused when a server cannot be opened: there is another pool to go to
	MaxUserConnections int           // servers at most of the pool's user, over all pools; 0 is no limit
}

// Opener opens and cancels server connections. Both run on goroutines of their
// own and may block as long as their context allows.
type Opener interface {
	// Open dials and logs in. A refusal by PostgreSQL is a *wire.Error.
	Open(ctx context.Context) (*wire.Established, error)
	// Cancel has the server's running query cancelled, and returns once the
	// request can no longer hit any later one.
	Cancel(ctx context.Context, key wire.Key) error
}

// Observer is told what changes about servers while no client holds them.
type Observer interface {
	// Opened is called once for a new server, before anything else.
	Opened(s *Server)
	// Reported is called for a ParameterStatus from an idle server. The
	// slices live until it returns.
	Reported(s *Server, name, value []byte)
	// Closed is called once for every server that was opened, when it will
	// not be used again.
	Closed(s *Server)
	// Emptied is called when the last server is gone and nobody waits. It is
	// the last thing that the pool does in that event.
	Emptied()
}

// Pool is a set of connections to one member as one user, for one database.
// All its methods belong to its loop's thread.
type Pool struct {
	// static after New
	loop     *loop.Loop
	opener   Opener
	observer Observer
	group    *loop.Group

	cfg        Config
	member     *Member
	idle       list    // newest at the front
	all        list    // every open server, by its second links
	waiting    waiters // oldest at the front
	counts     [states]int
	total      int // servers that exist or are being opened or closed
	generation uint64
	paused     bool
	held       bool // there is no member to open servers at
	closed     bool
	seeded     bool // somebody has logged in, so that servers can be opened without a client
	refusals   backoff
	lastErr    error
	retry      loop.Timer
	reserve    loop.Timer
	overdue    loop.Timer
	sweep      loop.Timer
	ended      map[string]uint64
	idleWait   []func() // called when no server is active

	share       *Share        // of the cluster's budget; nil for no budget
	asked       int           // seats that were asked for and have not come
	askedFor    *Process      // a seat was asked for on its behalf
	spare       int           // seats that have come and are not used yet
	seatedAt    time.Duration // when the last one came that was asked for
	overdrawn   *Process      // that may have servers above PoolSize
	overdrawnAt time.Duration // when one was opened last; 0 for never

	user    *User      // whose servers these are; nil for nobody's
	permits int        // of the user's, for servers that are there or wished for
	inLine  bool       // for one more
	line    loop.Timer // has it looked for again
}

// New returns an empty pool on l.
func New(l *loop.Loop, m *Member, cfg Config, opener Opener, observer Observer, group *loop.Group) *Pool {
	p := &Pool{loop: l, member: m, cfg: cfg, opener: opener, observer: observer, group: group, ended: map[string]uint64{}}
	p.idle.init()
	p.all.init()
	p.waiting.init()
	return p
}

// SetConfig changes the limits. Servers above a lowered limit close as they
// are released.
func (p *Pool) SetConfig(cfg Config) {
	p.cfg = cfg
	if p.user != nil {
		p.yieldIdle()
	}
	p.grow()
}

// Seed says that Open can now succeed without a client at hand, so that
// MinPoolSize is kept.
func (p *Pool) Seed() {
	if !p.seeded {
		p.seeded = true
		p.grow()
	}
}

// Acquire returns a server for c. When none is idle it returns nil and a
// place in the line: c will be told by Assigned or Refused, never before
// Acquire has returned.
//
// process is the client's, nil for unknown.
func (p *Pool) Acquire(c Client, process *Process) (*Server, *Waiter) {
	if p.waiting.len == 0 && !p.stopped() {
		if s := p.takeIdle(); s != nil {
			p.hand(s, process)
			return s, nil
		}
	}
	w := p.enqueue(c, process)
	p.grow()
	return nil, w
}

// takeIdle takes the newest idle server, unless even that one needs a check.
func (p *Pool) takeIdle() *Server {
	s := p.idle.first()
	if s == nil || p.needsCheck(s) {
		return nil
	}
	if p.share != nil {
		p.share.rested(p.loop.Now() - s.since)
	}
	p.idle.remove(s)
	p.setState(s, Active)
	return s
}

// hand notes whose a server is now.
func (p *Pool) hand(s *Server, process *Process) {
	if s.process = process; process != nil {
		process.held++
	}
}

// Release takes back a server on which nothing is open, unread or running.
func (p *Pool) Release(s *Server) {
	if s.state != Active {
		panic("pool: release of a server that is " + s.state.String())
	}
	s.since = p.loop.Now()
	s.Conn.SetHandler(s)
	s.Conn.Resume()
	if w := p.waiting.first(); p.share != nil && !w.stuck() && p.share.vacates(s, 0) {
		p.Destroy(s, seatMoved, false)
		return
	}
	if p.share != nil && p.share.starves(p) {
		p.Destroy(s, "max_db_connections", false)
		return
	}
	if w := p.waiting.first(); !w.stuck() && p.yieldsTo(s, 0) {
		p.Destroy(s, userLimit, false)
		return
	}
	p.offer(s)
	p.checkQuiet()
}

// offer gives an open server to whoever waits, or to the idle list.
func (p *Pool) offer(s *Server) {
	p.promote() // the limit is for whoever is first
	if reason := p.unwanted(s); reason != "" {
		p.Destroy(s, reason, false)
		return
	}
	w := p.waiting.first()
	if p.share != nil && p.share.inReserve() && (w == nil || !p.share.reserved(w.process)) {
		if p.share.vacates(s, 0) {
			p.Destroy(s, seatMoved, false)
			return
		}
		p.promote() // whom the reserve is for now
		w = p.waiting.first()
	}
	if w != nil && !p.stopped() {
		if p.share != nil {
			p.share.rested(0)
		}
		p.setState(s, Active)
		p.assign(w, s)
		return
	}
	p.setState(s, Idle)
	p.idle.pushFront(s)
	p.armSweep()
}

// unwanted says why s should not be used again, "" when it should.
func (p *Pool) unwanted(s *Server) string {
	switch {
	case p.closed:
		return "pool closed"
	case s.generation != p.generation:
		return "reconnect"
	case p.paused:
		return "paused"
	case p.held:
		return "no primary"
	case p.expired(s):
		return "server_lifetime"
	case p.exceeds(p.waiting.first()):
		return "pool_size lowered"
	case p.share != nil && p.share.exceeds(p.waiting.first()):
		return "max_db_connections"
	case p.user != nil && p.user.exceeds(p):
		return userLimit
	}
	return ""
}

// limit is how many servers may be opened until there are so many, for w if it is not nil.
func (p *Pool) limit(w *Waiter) int {
	limit := p.regular(w)
	if w.stuck() {
		limit += p.share.overdraft(w, p.overdrawn)
	}
	return limit
}

// exceeds reports whether the pool has more servers than it may keep for w.
func (p *Pool) exceeds(w *Waiter) bool {
	limit := p.regular(w)
	if w.stuck() || w.lasts(p.overdrawnAt) {
		limit += p.share.overdraft(w, p.overdrawn)
	}
	return p.total-p.counts[Closing] > limit
}

// regular is the pool's size, with the reserve where that is in use.
func (p *Pool) regular(w *Waiter) int {
	limit := p.cfg.PoolSize
	if p.cfg.ReservePoolSize > 0 && p.cfg.ReservePoolTimeout > 0 &&
		(w != nil && p.loop.Now()-w.since >= p.cfg.ReservePoolTimeout || p.total > limit && w != nil) {
		limit += p.cfg.ReservePoolSize
	}
	return limit
}

func (p *Pool) setState(s *Server, state State) {
	if s.process != nil && s.state == Active {
		p.takenBack(s)
	}
	if p.share != nil {
		if s.state == Active {
			p.share.seats.work.Add(1)
		}
		if s.state == Idle {
			p.share.seats.idle.removeSeat(s)
		}
		if state == Idle {
			p.share.seats.idle.addSeat(s)
			p.share.seats.lookLater()
		}
	}
	p.counts[s.state]--
	p.counts[state]++
	s.state = state
}

// Pause closes idle servers and gives out no more until Resume; clients wait.
// quiet is called once no server is active.
func (p *Pool) Pause(quiet func()) {
	p.paused = true
	p.trim()
	p.closeIdle("paused")
	p.idleWait = append(p.idleWait, quiet)
	p.checkQuiet()
}

// Resume ends Pause.
func (p *Pool) Resume() {
	p.paused = false
	p.grow()
}

// Reconnect has every server that is open now closed once it is released.
func (p *Pool) Reconnect() {
	p.generation++
	p.closeIdle("reconnect")
	p.grow()
}

// SetMember has servers opened at another member from now on. Those that are
// open close once they are released. It ends Hold.
func (p *Pool) SetMember(m *Member) {
	p.member, p.held = m, false
	p.Reconnect()
}

// Hold gives out no more servers, and closes those that are released, until
// SetMember says where there are others; clients wait.
func (p *Pool) Hold() {
	p.held = true
	p.trim()
	p.closeIdle("no primary")
}

// Barred reports whether a client would wait for what has just failed: no server is
// open, and none could be opened.
func (p *Pool) Barred() bool {
	if p.total > p.counts[Login]+p.counts[Closing] {
		return false
	}
	wait, failed := p.member.barred()
	return max(wait, p.refusals.wait()) > 0 || (failed || p.refusals.failures > 0) && p.counts[Login] > 0
}

// stopped reports whether no servers are given out now.
func (p *Pool) stopped() bool { return p.paused || p.held || p.closed }

// Close closes idle servers at once, others when they are released, and
// refuses whoever waits.
func (p *Pool) Close() {
	p.closed = true
	p.trim()
	p.part()
	p.loop.Disarm(&p.retry)
	p.loop.Disarm(&p.reserve)
	p.loop.Disarm(&p.overdue)
	p.refuseAll(ErrClosed)
	p.closeIdle("pool closed")
}

func (p *Pool) closeIdle(reason string) {
	for s := p.idle.first(); s != nil; s = p.idle.first() {
		p.Destroy(s, reason, false)
	}
}

func (p *Pool) checkQuiet() {
	if len(p.idleWait) == 0 || p.counts[Active]+p.counts[Tested] > 0 {
		return
	}
	calls := p.idleWait
	p.idleWait = nil
	for _, f := range calls {
		f()
	}
}

// Stats are a pool's numbers now.
type Stats struct {
	Login, Idle, Tested, Active, Closing int // servers by state
	Waiting                              int // clients
	MaxWait                              time.Duration
	Ended                                map[string]uint64 // servers closed since the start, by reason
}

// Stats returns the pool's numbers. Ended is the pool's own map.
func (p *Pool) Stats() Stats {
	s := Stats{
		Login: p.counts[Login], Idle: p.counts[Idle], Tested: p.counts[Tested],
		Active: p.counts[Active], Closing: p.counts[Closing],
		Waiting: p.waiting.len, Ended: p.ended,
	}
	if w := p.waiting.first(); w != nil {
		s.MaxWait = p.loop.Now() - w.since
	}
	return s
}

// Empty reports whether the pool has no server, in whatever state, and nobody
// waiting.
func (p *Pool) Empty() bool { return p.total == 0 && p.waiting.len == 0 && p.spare == 0 }

// Servers calls f for every open server.
func (p *Pool) Servers(f func(*Server)) {
	for n := p.all.head.nextAll; n != &p.all.head; n = n.nextAll {
		f(n)
	}
}

package members

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// epoch is the zero of Clock.
var epoch = time.Now()

// Clock is the monotonic time that freshness and writes are told in. It is read
// anew each time: a time that was read before a commit is of no use for it.
func Clock() time.Duration { return time.Since(epoch) + time.Nanosecond }

// Intervals between two questions to a member.
const (
	soonest = 10 * time.Millisecond  // whatever happens
	useless = 25 * time.Millisecond  // while it makes no standby fresh enough for a read
	behind  = 2 * time.Millisecond   // after a write, so that one question does for several
	reading = 100 * time.Millisecond // while reads want to go to standbys
	resting = time.Second            // else
)

// wantedFor is for how long a read that would go to a standby counts as one that
// others will follow.
const wantedFor = 5 * time.Second

// servedFor is for how long a read that has gone to a standby counts as one that others
// will follow. Where all read what they have just written none ever goes there.
const servedFor = time.Second

// probeTimeout is how long a member may take to answer before it counts as lost.
const probeTimeout = 3 * time.Second

// Config says what to watch.
type Config struct {
	Members []string // addresses; nil with Patroni
	Patroni *Patroni // who finds the members; nil for those that are named
	// Connect logs in to a member as a role that may read pg_stat_wal_receiver
	// (pg_monitor, or a superuser).
	Connect func(ctx context.Context, address string) (*pgconn.PgConn, error)
	// Changed is called when the primary has changed, and when it has turned out
	// whether the members can be asked at all: now is nil while there is none. It
	// must not block for long. With Patroni it is also called when members have gone,
	// and whenever a member's name leads to another server.
	Changed func(now *Member)
	// Resolve looks up the addresses of a host; nil is the system's way.
	Resolve func(ctx context.Context, host string) (addresses []string, err error)
	Limits  Limits
	// Advanced is called, if not nil, when something has become possible for a read
	// behind Await. It must not block.
	Advanced func()
	Log      *slog.Logger
}

// Watch follows a cluster's members until it is closed.
type Watch struct {
	// static after New
	cfg    Config
	ctx    context.Context // until Close
	cancel context.CancelFunc
	done   sync.WaitGroup
	begun  time.Duration // Clock

	list    atomic.Pointer[[]*Member] // changed under mu
	primary atomic.Pointer[Member]
	wanted  atomic.Int64 // Clock of the last read that would go to a standby
	served  atomic.Int64 // Clock of one that has, not long before the last
	dirty   atomic.Bool  // something was written since the last sample
	blind   atomic.Bool  // no member has ever answered, though there was time
	wake    chan struct{}
	hurry   chan struct{} // has Patroni asked at once
	load    load          // of the primary
	doubted chan struct{} // has names looked up at once
	sampled chan struct{} // closed at the next sample, under mu

	mu       sync.Mutex // guards what follows, and what the members have seen
	samples  samples
	leader   *Member // the last that was primary
	answered bool    // some member has
	named    *Member // whom Patroni calls the leader, nil for nobody
	told     bool    // Patroni has said something
}

// Member is one PostgreSQL server of the cluster.
type Member struct {
	Address string // static

	fresh       atomic.Int64 // Clock: a standby has everything that was committed before; 0 is unknown
	lag         atomic.Int64 // bytes that a standby had not replayed when it was last asked
	outstanding atomic.Int64 // transactions that run there
	begun       atomic.Uint64
	started     atomic.Pointer[string]
	lost        atomic.Bool // it cannot be asked
	gone        atomic.Bool // it is a member no more
	moved       atomic.Bool // it is another instance than was there before under its name
	leave       context.CancelFunc
	accused     time.Duration // Clock when it was last asked who holds it up; of the goroutine that follows it
	nudged      time.Duration // Clock when it was last had to flush its WAL; of the same

	// guarded by the Watch's mu
	seen     seen
	since    time.Duration // Clock when it took its role
	timeline uint32        // the last one known, when it was primary
	system   string        // the same
	able     bool          // a standby that serves reads, as the log was told
	culprit  string        // who holds up its replay, "" for nobody
	ejected  string        // why a standby serves no reads, or becomes no fresher; "" if neither
	barred   string        // why Patroni would have it serve no reads, "" if it may
	at       netip.Addr    // where it was reached last, zero for nowhere yet or by a socket
	before   string        // when the instance was started that its name led to before, "" for none
}

// New watches a cluster.
func New(cfg Config) *Watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watch{cfg: cfg, ctx: ctx, cancel: cancel, begun: Clock(), wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), doubted: make(chan struct{}, 1), sampled: make(chan struct{})}
	if cfg.Patroni != nil {
		w.done.Go(func() { w.followPatroni(ctx, newPatroni(cfg.Patroni)) })
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*Member
	for _, address := range cfg.Members {
		list = append(list, &Member{Address: address, ejected: "not reached yet"})
	}
	w.list.Store(&list)
	for _, m := range list {
		w.join(m)
	}
	w.done.Go(func() { w.followNames(ctx) })
	return w
}

// Close ends the watch.
func (w *Watch) Close() {
	w.cancel()
	w.done.Wait()
}

// Primary returns who the primary is, nil while there is none.
func (w *Watch) Primary() *Member { return w.primary.Load() }

// Blind reports whether nothing is known of the members, and nothing will be soon:
// none has ever answered. Then the watch is of no use.
func (w *Watch) Blind() bool { return w.blind.Load() }

// Wrote takes note that something was committed, so that the next sample is taken
// soon.
func (w *Watch) Wrote() {
	if !w.dirty.Swap(true) {
		w.poke()
	}
}

func (w *Watch) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Fresh returns the Clock up to which a standby has everything that was committed,
// 0 for unknown.
func (m *Member) Fresh() time.Duration { return time.Duration(m.fresh.Load()) }

// Started returns when the instance was started that was last asked, as
// StartedText has it.
func (m *Member) Started() string {
	if s := m.started.Load(); s != nil {
		return *s
	}
	return ""
}

// Begin and End count the transactions that run at a standby.
func (m *Member) Begin() {
	m.outstanding.Add(1)
	m.begun.Add(1)
}

// End is the end of what Begin counted.
func (m *Member) End() { m.outstanding.Add(-1) }

// follow asks a member again and again.
func (w *Watch) follow(ctx context.Context, m *Member) {
	pause := soonest
	for ctx.Err() == nil {
		conn, err := w.connect(ctx, m)
		if err == nil {
			pause = soonest
			if !w.reachedAt(m, conn) {
				err = errMoved
			} else {
				err = w.askAll(ctx, m, conn)
			}
			closing, cancel := context.WithTimeout(context.Background(), time.Second)
			_ = conn.Close(closing) // it is broken, or nobody's
			cancel()
		}
		if ctx.Err() != nil {
			return
		}
		w.observe(m, seen{err: err})
		sleep(ctx, pause)
		pause = min(2*pause, resting)
	}
}

func (w *Watch) connect(ctx context.Context, m *Member) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return w.cfg.Connect(ctx, m.Address)
}

// askAll asks a member over one connection until that breaks.
func (w *Watch) askAll(ctx context.Context, m *Member, conn *pgconn.PgConn) error {
	asking, cancel := context.WithTimeout(ctx, probeTimeout)
	i, err := identify(asking, conn)
	cancel()
	if err != nil {
		return err
	}
	for {
		w.mu.Lock()
		next := w.sampled
		w.mu.Unlock()
		w.dirtyBefore(m)
		asking, cancel := context.WithTimeout(ctx, probeTimeout)
		s, err := i.probe(asking, conn)
		cancel()
		if err != nil {
			return err
		}
		current := w.observe(m, s)
		if err := w.accuse(ctx, m, conn); err != nil {
			return err
		}
		if s.role == Primary {
			if err := w.nudge(ctx, m, conn); err != nil {
				return err
			}
			w.awaitWrite(ctx)
		} else {
			w.awaitSample(ctx, next, current)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// dirtyBefore notes that what was written before the primary is asked is in the
// answer.
func (w *Watch) dirtyBefore(m *Member) {
	if w.primary.Load() == m {
		w.dirty.Store(false)
	}
}

// read reports whether somebody reads, or would.
func (w *Watch) read() bool {
	last := w.wanted.Load()
	return last != 0 && int64(Clock())-last < int64(wantedFor)
}

// pace is the pause between two questions to a member while reads are wanted.
func (w *Watch) pace() time.Duration {
	if int64(Clock())-w.served.Load() < int64(servedFor) {
		return soonest
	}
	return useless
}

// awaitWrite returns when the primary should be asked again.
func (w *Watch) awaitWrite(ctx context.Context) {
	if !w.read() {
		w.awaitReaders(ctx)
		return
	}
	pace := w.pace()
	sleep(ctx, pace-behind)
	timer := time.NewTimer(reading - pace)
	defer timer.Stop()
	select {
	case <-w.wake:
	case <-timer.C:
	case <-ctx.Done():
	}
	sleep(ctx, behind)
}

// awaitReaders rests until somebody reads.
func (w *Watch) awaitReaders(ctx context.Context) {
	timer := time.NewTimer(resting)
	defer timer.Stop()
	for {
		select {
		case <-w.wake:
			if w.read() {
				return
			}
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// awaitSample returns when a standby should be asked again: soon while it has not
// reached the last sample, else when there is a new one.
func (w *Watch) awaitSample(ctx context.Context, next chan struct{}, current bool) {
	if !current && w.read() {
		sleep(ctx, w.pace())
		return
	}
	rest := resting
	if w.lost() {
		rest = reading // it may be promoted, and clients wait
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-next:
	case <-timer.C:
	case <-ctx.Done():
	}
	if !w.read() {
		sleep(ctx, reading)
	}
}

// lost reports whether the primary cannot be reached, or there is none.
func (w *Watch) lost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	primary := w.primary.Load()
	return primary == nil || primary.seen.role != Primary
}

// observe takes in what a member has said, and reports whether a standby has all
// that is known to be written.
func (w *Watch) observe(m *Member, s seen) (current bool) {
	w.mu.Lock()
	if m.gone.Load() {
		w.mu.Unlock()
		return true
	}
	before := m.seen
	m.seen = s
	m.lost.Store(s.err != nil)
	if s.role != before.role {
		m.since = Clock()
	}
	if s.err == nil && s.started != m.Started() {
		m.started.Store(&s.started)
		m.fresh.Store(0) // what it had replayed is another instance's
	}
	if s.err == nil && m.before != "" {
		m.moved.Store(m.before != s.started)
		m.before = ""
	}
	news := w.see(s.err == nil)
	was, now := w.settle()
	if now == m && s.role == Primary {
		w.samples.add(sample{history: s.history, at: s.asked, lsn: s.lsn})
	}
	if now == m && (s.role == Primary || before.role == Primary) { // the standbys are to be asked: how far they are, or whether one was promoted
		close(w.sampled)
		w.sampled = make(chan struct{})
	}
	fresh := m.fresh.Load()
	current = w.judge(m, now)
	advanced := m.fresh.Load() > fresh
	log := w.tell(m, before)
	logPrimary, logAble := w.tellPrimary(was, now), w.tellAble(m)
	w.mu.Unlock()
	log()
	logPrimary()
	logAble()
	if advanced {
		w.advance()
	}
	if now != was || news {
		w.changed(now)
	}
	if now == nil || now == m && s.role != Primary {
		w.askPatroni()
	}
	return current
}

// see notes whether a member has answered, and reports whether it is news that
// members can be asked, or that they cannot.
func (w *Watch) see(answered bool) (news bool) {
	if answered {
		news, w.answered = !w.answered, true
		w.blind.Store(false)
		return news
	}
	if w.answered || Clock()-w.begun < probeTimeout {
		return false
	}
	return !w.blind.Swap(true)
}

// severed is why a standby becomes no fresher. What it has it has: it serves the reads
// that want no more. Often it is the first sign of a primary that dies, and those who
// read must not be sent there.
const severed = "receives no WAL"

// judge decides up to when a standby is fresh, and whether it serves reads.
func (w *Watch) judge(m *Member, primary *Member) (current bool) {
	s, last := &m.seen, w.samples.last()
	why := ""
	switch {
	case s.err != nil:
		why = s.err.Error()
	case s.role != Standby:
		why = "not a standby"
	case m.barred != "":
		why = m.barred
	case primary == nil || last.at == 0:
		why = "no primary to compare it with"
	case primary.seen.role != Primary: // what it has it has, until max_lag
	case s.system != last.system:
		why = "another cluster's: system identifier " + s.system
	case !s.streamed:
		why = severed
	case s.timeline != last.timeline:
		why = "on another timeline"
	}
	m.ejected = why
	if why != "" {
		if why != severed {
			m.fresh.Store(0)
		}
		return true
	}
	if at := w.samples.freshness(s.history, s.lsn, s.segment); s.streamed && at > time.Duration(m.fresh.Load()) {
		m.fresh.Store(int64(at))
	}
	m.lag.Store(max(0, int64(last.lsn)-int64(s.lsn)))
	return time.Duration(m.fresh.Load()) >= last.at
}

// tell returns what writes a line to the log for what has changed of a member,
// outside of the lock.
func (w *Watch) tell(m *Member, before seen) func() {
	role, why := m.seen.role, m.ejected
	lost := m.seen.err != nil && before.err == nil && before.role == Unknown
	if role == before.role && !lost {
		return func() {}
	}
	return func() {
		if lost {
			w.cfg.Log.Warn("member cannot be asked", "address", m.Address, "error", why)
		}
		if role != before.role {
			w.cfg.Log.Info("member", "address", m.Address, "role", role, "was", before.role, "why", why)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

package router

import (
	"errors"
	"fmt"
	"time"

	"howdah/pool"
	"howdah/router/members"
	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/loop"
)

// client is a logged-in client on its worker's loop: the session machine with
// a socket on one side and, while it needs one, a server on the other. It
// handles both sockets.
type client struct {
	session
	w      *worker
	route  *route
	conn   *loop.Conn
	server *pool.Server
	waiter *pool.Waiter
	need   time.Duration // members.Clock: what was written before must be where the transaction runs
	retry  *retry        // the way back from a standby; nil for none
	owed   *wire.Error   // for the next message that needs a server; nil for none
	away   *standby      // where the server is, or is waited for; nil for at the primary
	stash  []byte        // read from the client and not yet handled
	login  *login        // until the welcome was sent
	about  *about

	slot      uint32
	serial    uint32 // tells the slot's clients apart
	streams   int    // bytes of the client's message that are still to come
	drop      bool   // of that message: it goes nowhere
	stalled   bool   // the stash waits for the queue to move
	awaiting  bool   // the stash waits for a subscription
	leaving   bool   // the client has gone; what it began is being finished
	throttled bool   // the stash waits for the tenant's rate of queries
	choked    bool   // the server is not read, for the tenant's rate of bytes
	paid      bool   // a query was taken from the rate and not yet counted
	watched   watch

	attrs     tenants.SessionAttrs
	own       time.Duration  // members.Clock: of the session's last write
	asked     time.Duration  // members.Clock: when the read came that waits for a standby, where others write too
	vacating  *vacating      // nil without a command on a database
	parked    *members.Watch // whose standbys it waits for, or for room at the primary
	inPlace   *members.Watch // for whose standbys the primary runs the transaction
	inLine    bool           // it has waited in the park
	athome    bool           // its transactions belong to the primary
	homebound bool           // the transaction is about to leave its standby
	seen      time.Duration  // members.Clock: what the client has read at standbys shows all that was written before
	since     time.Duration  // loop time: of the request, or of the wait
	txSince   time.Duration  // loop time at which the server was assigned
	began     time.Duration  // loop time at which the transaction began
	timer     loop.Timer
}

// about is what is known of a client beside its session.
type about struct {
	address, local string
	tls            string
	connected      int64 // nanoseconds since 1970
	keyLen         int   // of the cancel key's secret, in bytes
	process        *process
}

func (a *about) connectTime() time.Time { return time.Unix(0, a.connected) }

// Readable implements loop.Handler for both of the client's sockets.
func (c *client) Readable(conn *loop.Conn) {
	if conn == c.conn {
		c.clientReadable()
	} else {
		c.serverReadable()
	}
}

// Drained implements loop.Handler for both of the client's sockets.
func (c *client) Drained(*loop.Conn) { c.regulate() }

func (c *client) clientReadable() {
	buf := c.w.loop.Buffer()
	n, err := c.conn.Read(buf)
	if err != nil {
		if !errors.Is(err, loop.ErrWouldBlock) {
			c.leave("client disconnected")
		}
		return
	}
	c.route.counters.Received += uint64(n)
	if c.queue.empty() {
		c.since = c.w.loop.Now()
		if c.status == wire.TxIdle {
			c.began = c.since
		}
	}
	if c.waiter != nil || c.login != nil || c.awaiting || c.throttled { // it was paused: its turn comes
		c.stash = c.w.loop.Buffers().Append(c.stash, buf[:n])
		return
	}
	if c.route.limits.MaxQueriesPerSecond > 0 && !c.mayAsk(buf[0]) {
		c.stash = c.w.loop.Buffers().Append(c.stash, buf[:n])
		c.throttle()
		return
	}
	if len(c.stash) == 0 {
		c.keep(c.feed(buf[:n]))
	} else {
		c.stash = c.w.loop.Buffers().Append(c.stash, buf[:n])
		c.refeed()
	}
	c.settleDown()
}

// refeed works through the stash.
func (c *client) refeed() {
	stash := c.stash
	if len(stash) == 0 || c.throttled {
		c.sendInjected()
		return
	}
	c.stash = nil
	rest := c.feed(stash)
	if len(rest) == len(stash) {
		c.stash = stash
		return
	}
	c.keep(rest)
	c.w.loop.Buffers().Give(stash)
}

// sendInjected sends what the machine left for the server beside any message
// of the client's.
func (c *client) sendInjected() {
	if sh := c.shared; len(sh.toServer) > 0 {
		if c.server != nil {
			c.server.Conn.Write(sh.toServer)
		}
		sh.toServer = sh.toServer[:0]
	}
}

// keep copies bytes that cannot be handled yet.
func (c *client) keep(rest []byte) {
	if len(rest) > 0 && !c.leaving {
		c.stash = c.w.loop.Buffers().Append(nil, rest)
	}
}

// feed works through bytes from the client and returns those that must wait:
// an incomplete message, or what comes behind one that waits itself.
func (c *client) feed(b []byte) (rest []byte) {
	up := &c.w.up
	up.begin(b)
	at := 0
	for at < len(b) && !c.leaving {
		if c.streams > 0 {
			n := min(c.streams, len(b)-at)
			if !c.drop {
				up.pass(at, at+n)
			}
			c.streams -= n
			at += n
			continue
		}
		h, ok, err := wire.ParseHeader(b[at:])
		if err != nil {
			up.drop()
			c.refuseWith(wire.Fatal(wire.CodeProtocolViolation, "invalid message length", ""))
			return nil
		}
		if most := c.w.server.config().MaxPacketSize; ok && most > 0 && h.Len > most {
			up.drop()
			c.refuseWith(wire.Fatal(wire.CodeProgramLimit, fmt.Sprintf("max_packet_size: a message of %d bytes is longer than %d", h.Len, most),
				"Raise max_packet_size, or send less at a time."))
			return nil
		}
		if !ok || len(b)-at < peek(h) {
			break
		}
		n, ok := c.step(h, b, at)
		if !ok {
			break
		}
		at += n
	}
	if c.leaving {
		up.drop()
		return nil
	}
	up.flushTo(c.server)
	return b[at:]
}

// step handles the message that begins at b[at:], and returns how much of b it
// took; ok false means that it must wait.
func (c *client) step(h wire.Header, b []byte, at int) (n int, ok bool) {
	sh := c.shared
	if c.away != nil && c.server != nil && (c.queue.cycles > 0 || c.backend.cancels > 0 && c.releasable()) && h.Type != wire.Terminate {
		c.stalled = true // it may be of another transaction, and where that runs is not decided
		return 0, false
	}
	if c.away != nil && c.server != nil && c.unfit(h, b[at:]) {
		c.athome = true
		c.goHome()
		return 0, false
	}
	v := c.fromClient(h, b[at:])
	if v == verbAcquire && c.owed != nil {
		v = c.payOwed(h)
	}
	if v == verbAcquire {
		standby, how := c.whereTo(h, b[at:])
		if how == later {
			c.park()
			return 0, false
		}
		if c.asked = 0; how == inPlace {
			c.inPlace = c.route.watch
		}
		if !c.acquire(standby) {
			return 0, false
		}
		v = c.fromClient(h, b[at:])
	}
	c.w.up.add(sh.toServer)
	sh.toServer = sh.toServer[:0]
	c.tell()
	if c.commanding > 0 {
		c.onDatabases()
	}
	n = min(h.Len, len(b)-at)
	if (h.Type == wire.Query || h.Type == wire.Bind) && c.server != nil && v != verbStall && !c.backend.running.noted {
		c.noteRunning(h.Type, b[at+wire.HeaderLen:at+n])
	}
	if c.retry != nil && v != verbStall && v != verbAcquire && v != verbSubscribe {
		c.keepSent(h, b[at:at+n])
	}
	switch v {
	case verbForward:
		c.w.up.pass(at, at+n)
		c.streams, c.drop = h.Len-n, false
	case verbRewrite:
		c.w.up.pass(at+sh.used, at+n)
		c.streams, c.drop = h.Len-n, false
	case verbDrop:
		c.streams, c.drop = h.Len-n, true
	case verbStall, verbAcquire:
		c.stalled = true
		return 0, false
	case verbSubscribe:
		c.subscribe()
		return 0, false
	case verbLeave:
		c.w.up.flushTo(c.server)
		c.leave("client left")
	case verbRefuse:
		c.w.up.flushTo(c.server)
		c.end("protocol violation by client")
	}
	return n, true
}

// tell gives the client what the machine left for it.
func (c *client) tell() {
	sh := c.shared
	if len(sh.toClient) > 0 && c.retry != nil {
		c.retry.withheld = append(c.retry.withheld, sh.toClient...)
		sh.toClient = sh.toClient[:0]
	}
	if len(sh.toClient) > 0 {
		c.route.counters.Sent += uint64(len(sh.toClient))
		c.conn.Write(sh.toClient)
		sh.toClient = sh.toClient[:0]
	}
}

// acquire asks for a server, at a standby if one is given, and reports whether one
// is there at once.
func (c *client) acquire(at *standby) bool {
	if c.waiter != nil || c.server != nil {
		panic("router: acquire by a client that waits for a server or has one")
	}
	c.since = c.w.loop.Now()
	c.away = at
	s, w := c.ask()
	if s == nil {
		if !c.waitsInLine() {
			w.Leave()
			return false
		}
		c.waiter = w
		return false
	}
	c.take(s)
	return true
}

// ask asks the pool for a server. One at a standby is none of those that a process
// of several clients could wait for in vain.
func (c *client) ask() (*pool.Server, *pool.Waiter) {
	if c.away != nil {
		return c.away.pool.Acquire(c, nil)
	}
	return c.route.pool.Acquire(c, c.about.process.own())
}

// take begins the use of a server.
func (c *client) take(s *pool.Server) {
	c.server = s
	if c.away != nil {
		c.away.at.Begin()
		c.back = true
		c.retry = &retry{deferred: c.deferred, status: c.status}
		c.seen = max(c.seen, c.away.at.Fresh())
	}
	c.txSince = c.w.loop.Now()
	counters := &c.route.counters
	counters.Assignments++
	c.route.waited(c.txSince - c.since)
	c.since = c.txSince
	if c.status == wire.TxIdle {
		c.began = c.txSince
	}
	s.Conn.SetHandler(c)
	s.Data.(*backend).running.noted = false
	if c.login != nil {
		c.wishVars()
	}
	c.assigned(s.Data.(*backend))
}

// Assigned implements pool.Client.
func (c *client) Assigned(s *pool.Server) {
	c.waiter = nil
	if c.away != nil && c.away.at.Fresh() < c.need { // it was restarted meanwhile
		s.Pool().Destroy(s, "the standby has fallen back", false)
		c.askPrimary()
		return
	}
	c.route.waits(-1)
	c.take(s)
	if c.login != nil {
		c.tryLogin()
		return
	}
	c.refeed()
	c.settleDown()
}

// Refused implements pool.Client.
func (c *client) Refused(err error) {
	c.waiter = nil
	if c.away != nil && !c.leaving { // the primary can do it as well
		c.askPrimary()
		return
	}
	c.route.waits(-1)
	c.refuseWith(c.route.explained(err))
}

// askPrimary has a client who waits for a server wait for one at the primary.
func (c *client) askPrimary() {
	c.away = nil
	c.takePlace()
	c.askPool()
}

// askPool has a client who waits wait in the line of the pool that is for it now.
func (c *client) askPool() {
	s, w := c.ask()
	if c.waiter = w; s != nil {
		c.Assigned(s)
	}
}

// settleDown is the end of every event: the server goes back if it can, the
// timeouts are set, and reading is paused where the other side lags behind.
func (c *client) settleDown() {
	if c.conn.Closed() && !c.leaving {
		return
	}
	c.tidySubscriptions()
	if !c.leaving && c.listens != nil && len(c.listens.notes) > 0 && c.idle() && !c.awaiting && c.waiter == nil {
		if !c.tellIdle() {
			return
		}
	}
	if c.maybeRelease() {
		return
	}
	if c.w.draining && c.resting() {
		c.refuseWith(errShutdown)
		return
	}
	c.watchTime()
	c.regulate()
}

// resting reports whether nothing runs for a client, though it may keep a
// server: the moment at which a drain may close it.
func (c *client) resting() bool {
	if c.leaving || c.waiter != nil || c.login != nil || c.awaiting || c.barrier || c.throttled {
		return false
	}
	return c.server == nil || c.endable() && c.status == wire.TxIdle && c.streams == 0
}

// regulate pauses what may not be read now.
func (c *client) regulate() {
	if c.w.suspended && c.login == nil {
		c.conn.Pause()
		if c.server != nil {
			c.server.Conn.Pause()
		}
		return
	}
	if !c.leaving {
		if c.waiter != nil || c.stalled || c.throttled || c.awaiting || c.login != nil || c.conn.Buffered() > maxUnsent ||
			c.server != nil && c.server.Conn.Buffered() > 0 {
			c.conn.Pause()
		} else {
			c.conn.Resume()
		}
	}
	if c.server != nil {
		if c.conn.Buffered() > 0 || c.barrier || c.choked {
			c.server.Conn.Pause()
		} else {
			c.server.Conn.Resume()
		}
	}
}

// maxUnsent is how much may wait for a slow client before it is not heard any
// more either, in bytes.
const maxUnsent = 64 << 10

// maybeRelease gives the server back when nothing is open on it, and reports
// whether it did. It must be the last thing that an event does: the server may
// be given to another client at once.
func (c *client) maybeRelease() bool {
	s, b := c.server, c.backend
	if s == nil {
		return false
	}
	done := c.releasable()
	if c.leaving {
		if c.abandon() {
			return true
		}
		done = c.endable()
	}
	if !done || c.streams > 0 || b.streams > 0 || len(b.stash) > 0 || b.cancels > 0 {
		return false
	}
	if c.leaving {
		c.finish()
		return true
	}
	unsure := c.unsure || b.poisoned
	c.letGo()
	c.watchTime()
	c.regulate()
	if c.w.draining {
		c.refuseWith(errShutdown)
	}
	if unsure {
		s.Pool().Destroy(s, "answers unaccounted for", false)
	} else {
		s.Pool().Release(s)
	}
	return true
}

// letGo ends the use of the server.
func (c *client) letGo() {
	c.route.counters.TxTime += uint64((c.w.loop.Now() - c.txSince) / time.Microsecond)
	if c.altered != 0 { // who knows whether it was committed
		c.defaultsAltered(c.altered)
		c.altered = 0
	}
	if c.away != nil {
		c.away.at.End()
		c.away = nil
	}
	c.endInPlace()
	if c.vacating != nil {
		c.endVacating()
	}
	c.server, c.retry, c.choked = nil, nil, false
	c.stand()
	c.released()
}

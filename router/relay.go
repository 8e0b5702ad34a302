package router

import (
	"encoding/binary"
	"errors"
	"time"

	"howdah/pool"
	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/loop"
)

// maxHeld bounds the messages from a server that are looked into whole, in
// bytes. Row data is never held.
const maxHeld = 1 << 20

func (c *client) serverReadable() {
	s, b := c.server, c.backend
	buf := c.w.loop.Buffer()
	n, err := s.Conn.Read(buf)
	if err != nil {
		if !errors.Is(err, loop.ErrWouldBlock) {
			c.serverLost(err)
		}
		return
	}
	data, stash := buf[:n], b.stash
	if len(stash) > 0 {
		stash = c.w.loop.Buffers().Append(stash, data)
		data, b.stash = stash, nil
	}
	c.work(s, b, data, stash)
}

// resumeAnswers goes on with what was read already.
func (c *client) resumeAnswers() {
	s, b := c.server, c.backend
	stash := b.stash
	b.stash = nil
	c.work(s, b, stash, stash)
}

// work works through bytes from the server. stash is the buffer they are in,
// nil if it is the loop's.
func (c *client) work(s *pool.Server, b *backend, data, stash []byte) {
	at, err := c.answers(data)
	c.route.counters.Sent += uint64(c.w.down.flush(c.conn))
	if rest := data[at:]; err == nil && len(rest) > 0 {
		b.stash = c.w.loop.Buffers().Append(nil, rest)
	}
	if stash != nil {
		c.w.loop.Buffers().Give(stash)
	}
	sh := c.shared
	if len(sh.toServer) > 0 {
		s.Conn.Write(sh.toServer)
		sh.toServer = sh.toServer[:0]
	}
	if err != nil {
		c.w.log.Error("server broke the protocol", "error", err, "database", c.route.key.database, "user", c.route.key.user)
		c.refuseWith(wire.Fatal(wire.CodeProtocolViolation, "the server sent a message that nobody asked for", "Please report this as a bug of Howdah's."))
		if c.server != nil {
			c.destroyServer("protocol violation by server", true)
		}
		return
	}
	c.answered()
}

// answers works through bytes from the server, and returns how many of them
// are dealt with.
func (c *client) answers(data []byte) (at int, err error) {
	b, down := c.backend, &c.w.down
	down.begin(data)
	for at < len(data) && !c.barrier {
		if b.streams > 0 {
			n := min(b.streams, len(data)-at)
			if !b.drop {
				down.pass(at, at+n)
			}
			b.streams -= n
			at += n
			continue
		}
		h, ok, err := wire.ParseHeader(data[at:])
		if err != nil {
			return at, err
		}
		if !ok {
			break
		}
		n := min(h.Len, len(data)-at)
		if h.Type == wire.DataRow || h.Type == wire.CopyData {
			if c.queue.empty() {
				return at, errUnexpected
			}
			b.drop = c.queue.first().kind != entryForward
			if c.looksAt() {
				if n < h.Len && h.Len <= maxHeld {
					break
				}
				c.lookRow(data[at+wire.HeaderLen : at+n])
			}
		} else {
			if n < h.Len && h.Len <= maxHeld {
				break
			}
			if h.Type == wire.NotificationResponse && n >= wire.HeaderLen+4 {
				c.ownPID(data[at+wire.HeaderLen:])
			}
			v, err := c.fromServer(h.Type, data[at+wire.HeaderLen:at+n])
			if err != nil {
				return at, err
			}
			b.drop = v == verbDrop
		}
		if !b.drop {
			down.pass(at, at+n)
		}
		b.streams = h.Len - n
		at += n
		if len(c.shared.toClient) > 0 {
			down.add(c.shared.toClient)
			c.shared.toClient = c.shared.toClient[:0]
		}
	}
	return at, nil
}

// ownPID has a notification that comes from the client itself say so.
func (c *client) ownPID(body []byte) {
	if binary.BigEndian.Uint32(body) == c.server.Key.PID {
		binary.BigEndian.PutUint32(body, c.w.server.clientPID(c.w.index, c.slot))
	}
}

// answered is what follows from answers that have been passed on.
func (c *client) answered() {
	c.w.count(c)
	if c.barrier {
		c.regulate()
		c.awaitBarrier()
		return
	}
	if c.login != nil {
		if !c.checking {
			c.loginTried()
		}
		return
	}
	if c.mode == tenants.Statement && c.status != wire.TxIdle && !c.leaving {
		c.refuseWith(wire.Fatal(wire.CodeFeatureNotSupported,
			"transaction blocks are not allowed in pool mode statement", "Set pool_mode to transaction for this tenant."))
		return
	}
	if c.stalled {
		c.stalled = false
		c.refeed()
	}
	c.settleDown()
}

// watch says which timeout runs for a client.
type watch uint8

const (
	watchNothing watch = iota
	watchIdle
	watchSequence
	watchTransaction
	watchQuery
)

// watchTime sets the timeout that fits what the client does now.
func (c *client) watchTime() {
	if c.leaving || c.login != nil {
		return
	}
	l := &c.route.tenant.limits
	var w watch
	var d time.Duration
	switch {
	case c.waiter != nil: // the pool watches over waiting
	case c.deferred != 0:
		w, d = watchTransaction, l.IdleTransactionTimeout
	case c.server == nil, c.queue.empty() && !c.open && c.status == wire.TxIdle:
		w, d = c.watchIdleness()
	case c.queue.cycles == 0: // nothing that ends by itself is outstanding
		w, d = watchTransaction, l.IdleTransactionTimeout
	case !c.queue.empty():
		w, d = watchQuery, l.QueryTimeout
	}
	if d == 0 {
		w = watchNothing
	}
	if w == c.watched && w == watchQuery {
		return
	}
	c.watched = w
	switch {
	case w != watchNothing && c.timer.Armed():
		c.w.loop.Rearm(&c.timer, d)
	case w != watchNothing:
		c.w.loop.Arm(&c.timer, d, c.timedOut)
	case c.status == wire.TxIdle: // in a transaction it is soon needed again, and timedOut looks at watched
		c.w.loop.Disarm(&c.timer)
	}
}

// watchIdleness says what comes first for an idle client: the end of its pin
// for values of sequences, or its own. The one counts for the other.
func (c *client) watchIdleness() (watch, time.Duration) {
	l := &c.route.tenant.limits
	idle, pin := l.ClientIdleTimeout, l.SequencePinTimeout
	switch {
	case c.server != nil && c.pins == pinSequence && c.mode == tenants.Transaction && pin > 0 && (idle == 0 || pin < idle):
		return watchSequence, pin
	case c.watched == watchSequence && idle > 0:
		return watchIdle, max(idle-pin, time.Millisecond)
	}
	return watchIdle, idle
}

func (c *client) timedOut() {
	if c.w.suspended {
		return // listen begins its time anew
	}
	l := &c.route.tenant.limits
	switch c.watched {
	case watchSequence:
		c.unpinSequence()
		c.sendInjected()
		c.settleDown()
	case watchIdle:
		c.refuseWith(wire.Fatal(wire.CodeIdleSession, "client_idle_timeout: idle for "+l.ClientIdleTimeout.String(),
			"Raise client_idle_timeout for this tenant."))
	case watchTransaction:
		c.refuseWith(wire.Fatal(wire.CodeIdleInTransaction, "idle_transaction_timeout: idle in a transaction for "+l.IdleTransactionTimeout.String(),
			"End transactions when their work is done, or raise idle_transaction_timeout for this tenant."))
	case watchQuery:
		c.refuseWith(wire.Fatal(wire.CodeQueryCanceled, "query_timeout: no answer within "+l.QueryTimeout.String(),
			"Raise query_timeout for this tenant."))
	}
}

package router

import (
	"encoding/binary"
	"errors"

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
	if c.route.limits.MaxBytesPerSecond > 0 {
		if buf = buf[:c.answersLimit(len(buf))]; len(buf) == 0 {
			return
		}
	}
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
	if err == errRetry {
		c.w.down.drop()
		if stash != nil {
			c.w.loop.Buffers().Give(stash)
		}
		c.retryAtPrimary(false)
		return
	}
	if c.retry != nil {
		c.withhold()
	}
	if c.shared.counts.wrote {
		c.wrote() // before the client knows
	}
	sent := c.w.down.flush(c.conn)
	c.route.counters.Sent += uint64(sent)
	if rate := c.route.limits.MaxBytesPerSecond; rate > 0 {
		c.route.told.bytes.take(c.w.loop.Now(), int64(sent), rate)
	}
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
		c.w.log.Error("server broke the protocol", "error", err, "database", c.route.databaseKey().database, "user", c.route.key.user)
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
			if c.retry != nil {
				_ = c.hear(h, nil) // a row is no error
			}
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
			if c.retry != nil {
				if err := c.hear(h, data[at+wire.HeaderLen:at+n]); err != nil {
					return at, err
				}
			}
			v, err := verbDrop, error(nil)
			if !c.parts(h, data[at+wire.HeaderLen:at+n]) {
				v, err = c.fromServer(h.Type, data[at+wire.HeaderLen:at+n])
			}
			if err != nil {
				return at, err
			}
			b.drop = v == verbDrop
			if h.Type == wire.CommandComplete && b.running.noted && !b.drop {
				b.running.rows += tagRows(data[at+wire.HeaderLen : at+n])
			}
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
	if c.vacating != nil || c.commanding > 0 {
		c.onDatabases()
	}
	if c.barrier && c.leaving { // nobody waits for what is to be told first
		c.barrier = false
		if len(c.backend.stash) > 0 {
			c.resumeAnswers()
			return
		}
	}
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
	if c.stalled && !c.unstall() {
		return
	}
	c.settleDown()
}

// unstall works through what has waited for the queue to move, and reports whether
// the session goes on.
func (c *client) unstall() bool {
	c.stalled = false
	if c.away != nil && c.maybeRelease() && c.leaving {
		return false
	}
	c.refeed()
	return true
}

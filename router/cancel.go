package router

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"howdah/pool"
	"howdah/wire"
)

// consolePID is the bit that tells the keys of virtual databases from those of
// clients.
const consolePID = 1 << 30

// cancelKey returns the key that a client's CancelRequest must show. Its
// process id leads to the worker and slot; its secret is derived from them,
// the client's serial and this node's secret, so none is stored.
func (s *Server) cancelKey(worker int, slot, serial, version uint32) wire.Key {
	pid := s.clientPID(worker, slot)
	return wire.Key{PID: pid, Secret: s.cancelSecret(pid, serial)[:keyLen(version)]}
}

// clientPID is the process id that a client is told to be its server's.
func (s *Server) clientPID(worker int, slot uint32) uint32 {
	return 1 + slot*uint32(len(s.workers)) + uint32(worker)
}

// keyLen is the length of a cancel key's secret in a protocol version, in
// bytes.
func keyLen(version uint32) int {
	if version >= wire.Protocol32 {
		return 32
	}
	return 4
}

func (s *Server) cancelSecret(pid, serial uint32) []byte {
	mac := hmac.New(sha256.New, s.nodeSecret)
	mac.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, pid), serial))
	return mac.Sum(nil)
}

// cancel carries out the CancelRequest of the connection from and returns when
// it has, or was found void: the client's library takes the end of the
// connection as the sign. An address with too many wrong keys is not listened
// to: those of protocol 3.0 have 32 bits that could be guessed.
func (s *Server) cancel(ctx context.Context, key wire.Key, from *about, address netip.Addr) {
	limit := s.config().CancelFailures
	if s.guard.cancels.full(address, limit, time.Now()) {
		s.log.Warn("cancel request ignored: too many wrong keys", "address", address)
		return
	}
	if !s.cancelBy(ctx, key, from) {
		s.guard.cancels.add(address, limit, time.Now())
	}
}

// cancelBy reports whether the key was somebody's.
func (s *Server) cancelBy(ctx context.Context, key wire.Key, from *about) bool {
	if key.PID == 0 {
		return false
	}
	if key.PID&consolePID != 0 {
		return s.consoleCancel != nil && s.consoleCancel(key)
	}
	n := uint32(len(s.workers))
	w, slot := s.workers[(key.PID-1)%n], (key.PID-1)/n
	answer := make(chan bool, 1)
	if !w.loop.Post(func() {
		if !w.cancel(slot, key, from, func() { answer <- true }) {
			answer <- false
		}
	}) {
		return true
	}
	select {
	case right := <-answer:
		return right
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	return true
}

// cancel finds out on the loop what the client runs, so that the answer cannot
// be out of date. It reports whether the key is a client's, and calls done, if
// it is, when nothing is left to happen.
func (w *worker) cancel(slot uint32, key wire.Key, from *about, done func()) (right bool) {
	if int(slot) >= len(w.slots) || w.slots[slot] == nil {
		return false
	}
	c := w.slots[slot]
	secret := w.server.cancelSecret(key.PID, c.serial)
	if len(key.Secret) != c.about.keyLen || !hmac.Equal(key.Secret, secret[:len(key.Secret)]) {
		return false
	}
	switch {
	case c.leaving:
		done()
	case c.server != nil && !c.queue.empty():
		x := w.server.cancels.begin(c.route, from)
		c.cancelRunning(func() {
			w.server.cancels.end(x)
			done()
		})
	case c.waiter != nil && c.login == nil, c.parked != nil:
		c.cancelWaiting()
		done()
	default:
		done()
	}
	return true
}

// cancelTimeout bounds a cancel request to a server.
const cancelTimeout = 10 * time.Second

// cancelRunning has the server's query cancelled. Until the request can hit
// nothing any more the server stays with this client; if that cannot be known,
// it is closed.
func (c *client) cancelRunning(done func()) {
	s, b, to := c.server, c.backend, pool.Opener(c.route)
	if c.away != nil {
		to = c.away
	}
	b.cancels++
	go func() {
		ctx, stop := context.WithTimeout(c.w.server.ctx, cancelTimeout)
		defer stop()
		err := to.Cancel(ctx, s.Key)
		c.w.loop.Post(func() {
			b.cancels--
			b.poisoned = b.poisoned || err != nil
			done()
			c.cancelled(s)
		})
		if err != nil {
			c.w.log.Warn("cancel request failed", "error", err)
		}
	}()
}

// cancelled gives the server back if only the cancel held it, and goes on with what
// has waited for that.
func (c *client) cancelled(s *pool.Server) {
	if c.server != s || c.stalled && !c.unstall() {
		return
	}
	c.settleDown()
}

// cancelWaiting takes a client out of the line: its statement has not begun.
func (c *client) cancelWaiting() {
	if c.parked != nil {
		c.unlist()
	} else {
		c.waiter.Leave()
		c.waiter = nil
		c.route.waits(-1)
	}
	c.endInPlace()
	c.shared.toClient = wire.AppendError(c.shared.toClient, &wire.Error{
		Severity: "ERROR", Code: wire.CodeQueryCanceled,
		Message: "canceling statement due to user request",
		Detail:  "It was waiting for a server.",
	})
	c.failHere()
	c.refuseWaiting()
	c.settleDown()
}

// refuseWaiting discards what a waiting client has asked, as a server discards
// what follows an error; the error itself is in toClient.
func (c *client) refuseWaiting() {
	stash := c.stash
	h, ok, err := wire.ParseHeader(stash)
	if err != nil || !ok {
		c.tell()
		return
	}
	if h.Type != wire.Query && h.Type != wire.FunctionCall {
		c.skipping = true // up to Sync
		c.tell()
		c.refeed()
		return
	}
	c.shared.toClient = wire.AppendReadyForQuery(c.shared.toClient, c.status)
	c.tell()
	n := min(h.Len, len(stash))
	c.streams, c.drop = h.Len-n, true
	c.stash = nil
	c.keep(stash[n:])
	c.w.loop.Buffers().Give(stash)
	c.refeed()
}

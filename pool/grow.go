package pool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"howdah/wire"
	"howdah/wire/loop"
)

// grow has idle servers checked for those who wait, and opens new ones for
// them and for MinPoolSize, as far as the limits allow.
func (p *Pool) grow() {
	if p.stopped() {
		return
	}
	p.promote()
	for n := p.waiting.len - p.counts[Tested]; n > 0; n-- {
		s := p.idle.first()
		if s == nil {
			break
		}
		p.idle.remove(s)
		p.startCheck(s)
	}
	if p.share != nil && p.waiting.len > 0 {
		p.share.makeRoom()
	}
	p.takePermits()
	for p.wanted() > 0 {
		if !p.takeSeat() {
			break
		}
		wait := p.refusals.wait()
		if wait <= 0 {
			var ok bool
			if wait, ok = p.member.begin(); ok {
				p.open()
				continue
			}
		}
		if p.share != nil {
			p.spare++
		}
		p.loop.Arm(&p.retry, wait, p.grow)
		break
	}
	p.trim()
}

// wanted is how many more servers may be opened.
func (p *Pool) wanted() int {
	if p.user != nil {
		return min(p.wish(), p.permits-p.total)
	}
	return p.wish()
}

// wish is how many more servers there should be, within the pool's limits and
// its tenant's.
func (p *Pool) wish() int {
	if p.stopped() {
		return 0
	}
	want := p.waiting.len - p.counts[Login] - p.counts[Tested]
	if p.seeded {
		want = max(want, p.cfg.MinPoolSize-p.total)
	}
	w := p.unserved()
	if p.share != nil {
		want = min(want, p.share.room(w))
	}
	return min(want, p.limit(w)-p.total)
}

func (p *Pool) open() {
	if w := p.unserved(); w != nil && w.urgent {
		if p.total >= p.cfg.PoolSize {
			p.overdrawnAt = p.loop.Now()
			if p.overdrawn.ended() {
				p.overdrawn = w.process
			}
		}
		if p.share != nil && p.share.room(nil) <= 0 {
			p.share.overdrawnAt = p.loop.Now()
			if p.share.overdrawn.ended() {
				p.share.overdrawn = w.process
			}
		}
	}
	p.total++
	p.counts[Login]++
	timeout, longest, member, generation := p.cfg.ConnectTimeout, p.cfg.LoginRetry, p.member, p.generation
	go func() {
		ctx, cancel := context.Background(), context.CancelFunc(func() {})
		if timeout > 0 {
			ctx, cancel = context.WithTimeout(ctx, timeout)
		}
		defer cancel()
		est, err := p.opener.Open(ctx)
		member.end(err == nil || refused(err), longest)
		if !p.loop.Post(func() { p.finishOpen(est, err, member, generation) }) && err == nil {
			est.Conn.Close()
		}
	}()
}

func (p *Pool) finishOpen(est *wire.Established, err error, member *Member, generation uint64) {
	p.counts[Login]--
	var s *Server
	if err == nil {
		s, err = p.adopt(est, member)
	}
	if err != nil {
		p.total--
		p.freeSeat(nil)
		p.openFailed(err)
		p.trim()
		if p.Empty() {
			p.observer.Emptied()
		}
		return
	}
	p.lastErr = nil
	p.refusals = backoff{}
	p.counts[Idle]++
	s.state, s.generation = Idle, generation // of the login's start: Reconnect may have come since
	p.all.addAll(s)
	if p.share != nil {
		p.share.opened()
	}
	p.observer.Opened(s)
	p.offer(s)
	p.grow()
}

func (p *Pool) adopt(est *wire.Established, member *Member) (*Server, error) {
	now := p.loop.Now()
	s := &Server{
		Key: est.Key, Parameters: est.Parameters, LocalAddr: est.Conn.LocalAddr().String(),
		Member: member, pool: p, born: now, since: now, opened: time.Now(),
	}
	var err error
	s.Conn, s.TLS, err = Adopt(p.loop, est, s, p.group)
	return s, err
}

// Adopt moves a connection that has logged in to l. It returns TLS version and
// cipher too, "" for plaintext, and closes the connection where it fails.
func Adopt(l *loop.Loop, est *wire.Established, h loop.Handler, group *loop.Group) (conn *loop.Conn, tlsName string, err error) {
	if tc, ok := est.Conn.(*tls.Conn); ok {
		transport, ok := tc.NetConn().(*loop.Transport)
		if !ok {
			est.Conn.Close()
			return nil, "", fmt.Errorf("adopt server: TLS over %T", tc.NetConn())
		}
		conn, err = l.AdoptTLS(tc, transport, h, group)
		return conn, wire.TLSName(tc.ConnectionState()), err
	}
	fd, err := loop.Detach(est.Conn)
	if err != nil {
		est.Conn.Close()
		return nil, "", err
	}
	conn, err = l.Adopt(fd, est.ReadAhead, h, group)
	return conn, "", err
}

// PassingError is of a refusal that passes without anybody's doing: who waits for a server
// goes on waiting.
type PassingError struct{ Reason error }

func (e *PassingError) Error() string { return e.Reason.Error() }
func (e *PassingError) Unwrap() error { return e.Reason }

// passingPause is the longest between two looks whether a refusal has passed.
const passingPause = 500 * time.Millisecond

// openFailed tells those who wait when waiting longer is of no use, and else
// tries again after a pause.
func (p *Pool) openFailed(err error) {
	p.lastErr = err
	var e *wire.Error
	var passing *PassingError
	switch {
	case errors.As(err, &passing):
		p.refusals.fail(passingPause)
	case errors.As(err, &e) && final(e.Code):
		if p.cfg.FailFast { // nobody need find out again soon
			p.refusals.fail(p.cfg.LoginRetry)
		}
		p.refuseAll(e)
		return
	case refused(err):
		p.refusals.fail(p.cfg.LoginRetry)
	}
	if p.cfg.FailFast {
		p.refuseAll(err)
		return
	}
	p.grow()
}

// refused reports whether PostgreSQL itself answered and said no for a reason
// that concerns this database or user rather than the member.
func refused(err error) bool {
	var e *wire.Error
	if !errors.As(err, &e) {
		return false
	}
	return final(e.Code) || e.Code == wire.CodeTooManyConnections
}

// final reports whether a refusal will be repeated until somebody changes
// something: no such database, a wrong password, no privilege, a bad setting,
// no connections allowed.
func final(code string) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "3D", "28", "42", "22", "0A", "55":
		return true
	}
	return false
}

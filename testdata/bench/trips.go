package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// tripProxy stands before PostgreSQL and counts how often somebody has to wait
// for an answer of it. Messages sent while an answer is owed anyway cost no trip
// of their own.
type tripProxy struct {
	listener net.Listener
	backend  string
	trips    atomic.Int64
	ended    sync.WaitGroup

	mu      sync.Mutex
	stopped bool       // guarded by mu, as the next
	conns   []net.Conn // both sides
}

func startTripProxy(backend int) (*tripProxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen as proxy: %w", err)
	}
	p := &tripProxy{listener: l, backend: fmt.Sprintf("127.0.0.1:%d", backend)}
	p.ended.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // stopped
			}
			p.ended.Go(func() { p.serve(conn) })
		}
	})
	return p, nil
}

func (p *tripProxy) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *tripProxy) stop() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.stopped = true
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.ended.Wait()
}

// keep has stop close the connection too; false says it did already.
func (p *tripProxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
	return !p.stopped
}

// serve carries one connection until either side ends it.
func (p *tripProxy) serve(pooler net.Conn) {
	defer pooler.Close()
	server, err := net.Dial("tcp", p.backend)
	if err != nil {
		return // the pooler sees its connection end, and says so
	}
	defer server.Close()
	if !p.keep(pooler) || !p.keep(server) {
		return
	}
	t := &trip{count: &p.trips}
	p.ended.Go(func() {
		_ = relay(pooler, server, false, t.answered)
		_ = pooler.Close()
	})
	_ = relay(server, pooler, true, t.asked) // an end is an end, whatever its reason
}

// trip follows what one connection's server owes.
type trip struct {
	count *atomic.Int64
	mu    sync.Mutex
	owed  int // ReadyForQuery; guarded by mu
}

// asked sees a message to the server before the server does.
func (t *trip) asked(kind byte) {
	if kind != 'Q' && kind != 'S' && kind != 'F' {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.owed == 0 {
		t.count.Add(1)
	}
	t.owed++
}

// answered sees a message of the server before the other side does. The first
// ReadyForQuery, that of the login, was asked for by no message.
func (t *trip) answered(kind byte) {
	if kind != 'Z' {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.owed = max(0, t.owed-1)
}

// relay copies messages one by one and tells of each kind first. A client's
// stream begins with a packet that has no kind.
func relay(to io.Writer, from io.Reader, startup bool, tell func(kind byte)) error {
	in := bufio.NewReaderSize(from, 64<<10)
	out := bufio.NewWriterSize(struct{ io.Writer }{to}, 64<<10) // a ReadFrom of to's would send the first message at once
	for {
		header := 5
		if startup {
			header = 4
		}
		peeked, err := in.Peek(header)
		if err != nil {
			return err
		}
		length := int64(binary.BigEndian.Uint32(peeked[header-4:]))
		if length < 4 {
			return errors.New("message shorter than its length")
		}
		if !startup {
			tell(peeked[0])
		}
		if _, err := io.CopyN(out, in, int64(header-4)+length); err != nil {
			return err
		}
		startup = false
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

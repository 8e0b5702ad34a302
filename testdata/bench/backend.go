package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// fakeBackend looks like PostgreSQL to a pooler and answers every statement
// with one row, "1", from ready-made bytes. It believes everybody.
//
// It shall cost next to nothing, so that a pooler before it is what limits: one
// thread visits all its connections in turn and rests between rounds. So it
// finds much to read at a time, and nobody pays for waking it.
type fakeBackend struct {
	fd      int // listens
	port    int
	answers answers
	stopped chan struct{}
	ended   chan struct{}

	conns []*fakeConn // owned by the visiting goroutine
}

// fakeConn is a pooler's server connection.
type fakeConn struct {
	fd      int
	started bool   // the StartupMessage came
	in, out []byte // not yet understood, not yet taken by the pooler
}

// restBetweenRounds is far below the time a batch of all clients takes.
const restBetweenRounds = 100 * time.Microsecond

func startFakeBackend() (*fakeBackend, error) {
	a, err := encodeAnswers()
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make the backend's socket: %w", err)
	}
	f := &fakeBackend{fd: fd, answers: a, stopped: make(chan struct{}), ended: make(chan struct{})}
	if err := f.listen(); err != nil {
		return nil, errors.Join(fmt.Errorf("listen as backend: %w", err), unix.Close(fd))
	}
	go f.visit()
	return f, nil
}

func (f *fakeBackend) listen() error {
	if err := unix.Bind(f.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(f.fd, 128); err != nil {
		return err
	}
	address, err := unix.Getsockname(f.fd)
	if err != nil {
		return err
	}
	f.port = address.(*unix.SockaddrInet4).Port
	return nil
}

func (f *fakeBackend) stop() {
	close(f.stopped)
	<-f.ended
}

// visit goes its rounds until stop.
func (f *fakeBackend) visit() {
	defer close(f.ended)
	buffer := make([]byte, 256<<10)
	for {
		select {
		case <-f.stopped:
			for _, c := range f.conns {
				_ = unix.Close(c.fd)
			}
			_ = unix.Close(f.fd)
			return
		case <-time.After(restBetweenRounds):
		}
		if fd, _, err := unix.Accept4(f.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err == nil {
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // without it the end of an answer may wait for an ACK
			f.conns = append(f.conns, &fakeConn{fd: fd})
		}
		f.conns = slices.DeleteFunc(f.conns, func(c *fakeConn) bool {
			if c.serve(&f.answers, buffer) {
				return false
			}
			_ = unix.Close(c.fd)
			return true
		})
	}
}

// serve reads what is there and answers it; false ends the connection. It does
// not read on while the pooler takes nothing.
func (c *fakeConn) serve(a *answers, buffer []byte) bool {
	if len(c.out) == 0 {
		n, err := unix.Read(c.fd, buffer)
		switch {
		case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
			return true
		case err != nil || n == 0:
			return false
		}
		c.in = append(c.in, buffer[:n]...)
		if !c.understand(a) {
			return false
		}
	}
	if len(c.out) == 0 {
		return true
	}
	n, err := unix.Write(c.fd, c.out)
	if err != nil {
		return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
	}
	c.out = c.out[:copy(c.out, c.out[n:])]
	return true
}

// understand moves whole messages from in to answers in out; false is the
// pooler's farewell.
func (c *fakeConn) understand(a *answers) bool {
	used := 0
	for {
		rest := c.in[used:]
		header := 1
		if !c.started {
			header = 0 // startup packets have no type
		}
		if len(rest) < header+4 {
			break
		}
		size := header + int(binary.BigEndian.Uint32(rest[header:]))
		if len(rest) < max(size, 8-4*header) {
			break
		}
		switch {
		case !c.started:
			answer, session := a.toStartup(rest)
			if answer == nil {
				return false
			}
			c.started = session
			c.out = append(c.out, answer...)
		case rest[0] == 'X':
			return false
		default:
			c.out = append(c.out, a.to(rest)...)
		}
		used += size
	}
	c.in = c.in[:copy(c.in, c.in[used:])]
	return true
}

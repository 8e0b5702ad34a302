package loop

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrWouldBlock is what Read returns when nothing is there to be read now.
var ErrWouldBlock = errors.New("loop: would block")

// Handler is told what happens to a connection, on its loop's thread.
type Handler interface {
	// Readable says that Read will return something: bytes, io.EOF or an
	// error. It is called again in the next turn while that stays true and
	// reading is not paused. A connection that broke is reported even when
	// paused.
	Readable(c *Conn)
	// Drained says that all that was written has been taken by the kernel,
	// after a Write that was not.
	Drained(c *Conn)
}

// Group bounds what a set of connections may read in one turn of their loop.
type Group struct {
	turn uint64
	used int
}

// Conn is a socket adopted by a loop. All its methods belong to the loop's
// thread.
type Conn struct {
	loop    *Loop
	handler Handler
	group   *Group
	tls     *secure // nil for plaintext
	out     []byte  // written but not taken by the kernel, from the loop's buffers
	outAt   int     // where out begins
	ahead   []byte  // read before the adoption
	err     error   // why writing failed; reported by Read
	fd      int32
	armed   uint32 // what epoll watches for
	paused  bool
	queued  bool // in the loop's ready list
	muted   bool // hung up while paused, and out of epoll until Resume
	closed  bool
	ending  bool // CloseWrite was called
}

// Detach takes the file descriptor of nc, which may be a Transport, away from
// Go's network poller and closes nc. The descriptor stays non-blocking.
func Detach(nc net.Conn) (fd int, err error) {
	if t, ok := nc.(*Transport); ok {
		nc = t.Conn
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("detach %T: not a socket", nc)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("detach socket: %w", err)
	}
	var dupErr error
	err = raw.Control(func(s uintptr) {
		fd, dupErr = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err := errors.Join(err, dupErr); err != nil {
		return -1, fmt.Errorf("detach socket: %w", err)
	}
	nc.Close()
	return fd, nil
}

// Adopt makes the loop serve the socket fd, which Detach returned, with h. The
// bytes in ahead have been read from it already and come first. group may be
// nil. Adopt belongs to the loop's thread.
func (l *Loop) Adopt(fd int, ahead []byte, h Handler, group *Group) (*Conn, error) {
	c := &Conn{loop: l, fd: int32(fd), handler: h, group: group, ahead: ahead, armed: unix.EPOLLIN}
	ev := unix.EpollEvent{Events: c.armed, Fd: c.fd}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("adopt connection: %w", err)
	}
	for fd >= len(l.conns) {
		l.conns = append(l.conns, make([]*Conn, max(64, len(l.conns)))...)
	}
	l.conns[fd] = c
	l.count++
	if len(ahead) > 0 {
		c.queueReady()
	}
	return c, nil
}

// AdoptTLS is Adopt for a connection whose handshake is done: nc was made over
// t, and t over a socket.
func (l *Loop) AdoptTLS(nc *tls.Conn, t *Transport, h Handler, group *Group) (*Conn, error) {
	fd, err := Detach(t.Conn)
	if err != nil {
		return nil, err
	}
	c, err := l.Adopt(fd, nil, h, group)
	if err != nil {
		return nil, err
	}
	c.tls = &secure{Conn: nc, t: t}
	t.adopted = c
	c.queueReady() // the handshake may have read ahead
	return c, nil
}

// Loop returns the loop that serves the connection.
func (c *Conn) Loop() *Loop { return c.loop }

// Closed reports whether Close was called.
func (c *Conn) Closed() bool { return c.closed }

// SetHandler has h told from now on.
func (c *Conn) SetHandler(h Handler) { c.handler = h }

// SetGroup moves the connection to another group.
func (c *Conn) SetGroup(g *Group) { c.group = g }

func (c *Conn) handle(events uint32) {
	if events&unix.EPOLLOUT != 0 && !c.flush() {
		return
	}
	switch {
	case c.closed:
	case c.paused && c.err == nil && events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
		c.mute()
	case events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
		c.readable()
	case events&unix.EPOLLIN == 0:
	case c.paused:
		c.watch(c.armed &^ unix.EPOLLIN)
	default:
		c.readable()
	}
}

// readable tells the handler, unless the group has used up its turn: then the
// next turn reports the connection again.
func (c *Conn) readable() {
	if g := c.group; g != nil {
		if g.turn != c.loop.turn {
			g.turn, g.used = c.loop.turn, 0
		}
		if g.used >= groupQuota {
			if len(c.ahead) > 0 || c.tls != nil || c.err != nil {
				c.queueReady()
			}
			return
		}
	}
	c.handler.Readable(c)
}

// flush sends what is buffered and tells the handler when all of it is gone.
// It reports false when the handler was told.
func (c *Conn) flush() bool {
	if len(c.out) == 0 {
		return true
	}
	c.send()
	if len(c.out) > 0 {
		return true
	}
	c.watch(c.armed &^ unix.EPOLLOUT)
	c.handler.Drained(c)
	return false
}

// mute takes a connection that hung up while reading is paused out of epoll,
// which would report it for ever: what it sent before has its turn first.
func (c *Conn) mute() {
	c.muted = true
	unix.EpollCtl(c.loop.epfd, unix.EPOLL_CTL_DEL, int(c.fd), nil)
}

func (c *Conn) watch(events uint32) {
	if events == c.armed || c.closed {
		return
	}
	c.armed = events
	if c.muted {
		return
	}
	ev := unix.EpollEvent{Events: events, Fd: c.fd}
	if err := unix.EpollCtl(c.loop.epfd, unix.EPOLL_CTL_MOD, int(c.fd), &ev); err != nil {
		c.fail(fmt.Errorf("watch connection: %w", err))
	}
}

// Pause stops Readable from being called until Resume.
func (c *Conn) Pause() { c.paused = true }

// Resume undoes Pause.
func (c *Conn) Resume() {
	if !c.paused || c.closed {
		return
	}
	c.paused = false
	if c.muted {
		c.unmute()
	} else {
		c.watch(c.armed | unix.EPOLLIN)
	}
	if len(c.ahead) > 0 || c.tls != nil || c.err != nil {
		c.queueReady()
	}
}

func (c *Conn) unmute() {
	c.muted = false
	c.armed |= unix.EPOLLIN
	ev := unix.EpollEvent{Events: c.armed, Fd: c.fd}
	if err := unix.EpollCtl(c.loop.epfd, unix.EPOLL_CTL_ADD, int(c.fd), &ev); err != nil {
		c.fail(fmt.Errorf("watch connection: %w", err))
	}
}

// Paused reports whether reading is paused.
func (c *Conn) Paused() bool { return c.paused }

func (c *Conn) queueReady() {
	if !c.queued {
		c.queued = true
		c.loop.ready = append(c.loop.ready, c)
	}
}

// Read reads into b what is there. It returns ErrWouldBlock when that is
// nothing, io.EOF when the peer has finished sending.
func (c *Conn) Read(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	var n int
	var err error
	if c.tls != nil {
		n, err = c.tls.read(b)
	} else {
		n, err = c.recv(b)
	}
	if c.group != nil {
		c.group.used += n
	}
	return n, err
}

// recv reads raw bytes.
func (c *Conn) recv(b []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
			c.ahead = nil
		} else {
			c.queueReady()
		}
		return n, nil
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return 0, ErrWouldBlock
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		}
		return int(n), nil
	}
}

// Write sends b. What the kernel does not take at once is copied and sent when
// it does; see Buffered. It never fails: a broken connection swallows what is
// written, and Read reports why.
func (c *Conn) Write(b []byte) {
	if c.closed || c.err != nil || len(b) == 0 {
		return
	}
	if c.tls != nil {
		c.tls.write(c, b)
		return
	}
	c.writeRaw(b)
}

func (c *Conn) writeRaw(b []byte) {
	if len(c.out) == 0 {
		n, ok := c.sendSome(b)
		if !ok || n == len(b) {
			return
		}
		b = b[n:]
	}
	c.out = c.loop.buffers.Append(c.out, b)
	c.watch(c.armed | unix.EPOLLOUT)
}

// send sends from the out-buffer what the kernel takes.
func (c *Conn) send() {
	n, ok := c.sendSome(c.out[c.outAt:])
	if !ok {
		return
	}
	if c.outAt += n; c.outAt == len(c.out) {
		c.dropOut()
		if c.ending {
			unix.Shutdown(int(c.fd), unix.SHUT_WR)
		}
	} else if c.outAt > readBufferSize && c.outAt > len(c.out)/2 {
		c.out = c.out[:copy(c.out, c.out[c.outAt:])]
		c.outAt = 0
	}
}

func (c *Conn) sendSome(b []byte) (n int, ok bool) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return 0, true
		case errno != 0:
			c.fail(errno)
			return 0, false
		}
		return int(r), true
	}
}

// fail remembers why the connection broke and has its handler told.
func (c *Conn) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.dropOut()
	c.queueReady()
}

func (c *Conn) dropOut() {
	if c.out != nil {
		c.loop.buffers.Give(c.out)
		c.out, c.outAt = nil, 0
	}
}

// Buffered returns how many bytes that were written the kernel has not taken.
func (c *Conn) Buffered() int { return len(c.out) - c.outAt }

// CloseWrite tells the peer that no more will come, as soon as all that was
// written has been taken by the kernel. Reading goes on.
func (c *Conn) CloseWrite() {
	if c.closed || c.err != nil || c.ending {
		return
	}
	c.ending = true
	if c.tls != nil {
		c.tls.Conn.CloseWrite()
	}
	if len(c.out) == 0 {
		unix.Shutdown(int(c.fd), unix.SHUT_WR)
	}
}

// Close closes the connection. What is buffered is tried once more and then
// lost. The handler is not told.
func (c *Conn) Close() {
	if c.closed {
		return
	}
	if c.tls != nil && c.err == nil {
		c.tls.Conn.CloseWrite() // close_notify, as far as the kernel takes it
	}
	if len(c.out) > 0 && c.err == nil {
		c.send()
	}
	c.closed = true
	c.dropOut()
	c.ahead = nil
	c.loop.conns[c.fd] = nil
	c.loop.count--
	unix.Close(int(c.fd))
}

// FD returns the file descriptor, for reports about sockets.
func (c *Conn) FD() int { return int(c.fd) }

package loop

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readBufferSize = 64 << 10
	eventsPerTurn  = 256
	groupQuota     = 256 << 10 // bytes one Group may read in a turn
	patience       = 20        // short waits in a row that bring nothing before one that blocks
	shortWait      = 1         // milliseconds of waiting that keep Go's processor
)

// ErrStopped reports that a loop no longer takes connections or work.
var ErrStopped = errors.New("loop: stopped")

// Loop is one OS thread that serves the connections adopted by it. Its
// methods belong to its own thread, but for Post, Adopt and Stop.
type Loop struct {
	// static after New
	epfd   int
	wakefd int
	start  time.Time
	done   chan struct{}

	// owned by the loop's thread
	conns   []*Conn // by file descriptor
	count   int
	ready   []*Conn // to be dispatched in the next turn whatever epoll says
	readyAt []*Conn // the other half of ready, swapped in each turn
	events  [eventsPerTurn]unix.EpollEvent
	buffer  []byte
	buffers Buffers
	wheel   wheel
	now     int64
	turn    uint64
	stop    bool
	silent  int // short waits in a row that brought nothing
	stats   Stats

	mu      sync.Mutex // guards what follows
	mailbox []func()
	awake   bool // the eventfd has been written and not yet read
	stopped bool

	spare []func() // the mailbox's other half; the loop's thread
}

// Stats counts what a loop has done.
type Stats struct {
	Turns uint64 // waits that found work or ran out
	Waits uint64 // calls of epoll_wait
	Conns int    // connections now
}

// New returns a loop. Run makes it work.
func New() (*Loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wakefd)}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, wakefd, &ev); err != nil {
		unix.Close(wakefd)
		unix.Close(epfd)
		return nil, fmt.Errorf("watch eventfd: %w", err)
	}
	l := &Loop{
		epfd: epfd, wakefd: wakefd, start: time.Now(), done: make(chan struct{}),
		buffer: make([]byte, readBufferSize),
	}
	l.wheel.init()
	return l, nil
}

// Run serves until Stop. It keeps the calling goroutine's thread to itself, and
// raises GOMAXPROCS by one meanwhile.
func (l *Loop) Run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	addProcessors(1)
	defer addProcessors(-1)
	defer l.shutDown()
	for !l.stop {
		n := l.wait()
		l.now = l.clock()
		l.turn++
		l.dispatch(l.events[:n])
		l.dispatchReady()
		l.runMailbox()
		l.wheel.advance(l.now)
		preemptionPoint()
	}
}

// processors is held while GOMAXPROCS changes.
var processors sync.Mutex

// addProcessors gives Go the processor that a loop keeps while it waits its
// short waits; without it the goroutines beside the loops would starve.
func addProcessors(n int) {
	processors.Lock()
	defer processors.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}

// wait fills l.events. While there is traffic it waits without leaving Go's
// scheduler, which saves waking a processor up again; after some milliseconds
// of silence it blocks the ordinary way, so that an idle loop costs nothing.
// Blocking at the first lull would be dear: each time, Go's monitor takes the
// processor away and then looks after us every 20 microseconds for a while,
// which was a quarter of the CPU at some hundred logins a second.
//
// The raw wait cannot be preempted, so an EINTR is not retried here: it may be
// the garbage collector asking for this thread, and Run passes a preemption
// point before the next wait.
func (l *Loop) wait() int {
	timeout := shortWait
	if len(l.ready) > 0 {
		timeout = 0
	}
	sleep := l.wheel.untilNext(l.clock())
	if sleep >= 0 && sleep < time.Millisecond {
		timeout = 0
	}
	l.stats.Waits++
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epfd),
		uintptr(unsafe.Pointer(&l.events[0])), eventsPerTurn, uintptr(timeout), 0, 0)
	if errno == unix.EINTR {
		return 0
	}
	if errno != 0 {
		panic("loop: epoll_pwait: " + errno.Error())
	}
	if n > 0 {
		l.silent = 0
		return int(n)
	}
	if timeout == 0 {
		return 0
	}
	if l.silent++; l.silent < patience {
		return 0
	}
	return l.waitBlocking(sleep)
}

func (l *Loop) waitBlocking(sleep time.Duration) int {
	millis := -1
	if sleep >= 0 {
		millis = int((sleep + time.Millisecond - 1) / time.Millisecond)
	}
	l.stats.Waits++
	n, err := unix.EpollWait(l.epfd, l.events[:], millis)
	if err != nil && err != unix.EINTR {
		panic("loop: epoll_wait: " + err.Error())
	}
	return max(n, 0)
}

// preemptionPoint is a call that the compiler can neither inline nor leave
// without a stack check: where the garbage collector's request to stop gets
// hold of this thread. Without it a loop of raw system calls hung the
// collector for ever.
//
//go:noinline
func preemptionPoint() {
	var frame [512]byte
	runtime.KeepAlive(&frame)
}

func (l *Loop) dispatch(events []unix.EpollEvent) {
	for i := range events {
		ev := &events[i]
		if int(ev.Fd) == l.wakefd {
			l.drainWake()
			continue
		}
		c := l.conns[ev.Fd]
		if c == nil { // closed earlier in this turn
			continue
		}
		c.handle(ev.Events)
	}
}

// dispatchReady serves connections that have something to read which epoll
// does not know of. Those that ask again are served in the next turn.
func (l *Loop) dispatchReady() {
	if len(l.ready) == 0 {
		return
	}
	l.ready, l.readyAt = l.readyAt[:0], l.ready
	for i, c := range l.readyAt {
		l.readyAt[i] = nil
		c.queued = false
		if !c.closed && (!c.paused || c.err != nil) { // Resume queues it again
			c.readable()
		}
	}
}

func (l *Loop) drainWake() {
	var b [8]byte
	unix.Read(l.wakefd, b[:])
}

func (l *Loop) runMailbox() {
	l.mu.Lock()
	if len(l.mailbox) == 0 {
		l.awake = false
		l.mu.Unlock()
		return
	}
	l.mailbox, l.spare = l.spare[:0], l.mailbox
	l.awake = false
	l.mu.Unlock()
	for i, f := range l.spare {
		l.spare[i] = nil
		f()
	}
}

// Post has f run on the loop's thread, after all that was posted before. It
// may be called from any goroutine, and reports false when the loop has
// stopped and f will not run.
func (l *Loop) Post(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	l.mailbox = append(l.mailbox, f)
	if !l.awake {
		l.awake = true
		one := [8]byte{1}
		unix.Write(l.wakefd, one[:]) // under mu: behind it the loop may stop, and the number be another's
	}
	return true
}

// Stop ends Run after the current turn and waits for it. Connections that are
// still adopted are closed without a word to their handlers. It must not be
// called from the loop's own thread, nor before Run.
func (l *Loop) Stop() {
	l.Post(func() { l.stop = true })
	<-l.done
}

func (l *Loop) shutDown() {
	l.mu.Lock()
	l.stopped = true
	left := l.mailbox
	l.mailbox = nil
	l.mu.Unlock()
	for _, f := range left {
		f()
	}
	for _, c := range l.conns {
		if c != nil {
			c.Close()
		}
	}
	unix.Close(l.wakefd)
	unix.Close(l.epfd)
	close(l.done)
}

func (l *Loop) clock() int64 { return int64(time.Since(l.start)) }

// Now returns the time of the current turn's start since the loop was made.
// It is cached: whoever needs the instant itself asks the clock.
func (l *Loop) Now() time.Duration { return time.Duration(l.now) }

// Buffer returns the read buffer that the loop's connections share. It is free
// to use until the handler returns.
func (l *Loop) Buffer() []byte { return l.buffer }

// Buffers returns the loop's free list.
func (l *Loop) Buffers() *Buffers { return &l.buffers }

// Arm sets t to call fire on the loop's thread after d, rounded up to the next
// 16 milliseconds, whatever it was set to before.
func (l *Loop) Arm(t *Timer, d time.Duration, fire func()) {
	l.wheel.arm(t, l.clock()+int64(d), fire)
}

// Rearm has t, which is armed, fire after d instead; what it calls stays.
func (l *Loop) Rearm(t *Timer, d time.Duration) { l.wheel.arm(t, l.clock()+int64(d), t.fire) }

// Disarm takes t back, if it has not fired.
func (l *Loop) Disarm(t *Timer) { l.wheel.stop(t) }

// Stats returns the loop's counters.
func (l *Loop) Stats() Stats {
	s := l.stats
	s.Turns, s.Conns = l.turn, l.count
	return s
}

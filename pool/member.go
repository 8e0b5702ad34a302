package pool

import (
	"math/rand/v2"
	"sync"
	"time"
)

// maxLogins bounds how many logins to one member run at a time, so that a
// restart is not answered by a stampede.
const maxLogins = 16

// firstPause is the pause after the first failure to reach a member.
const firstPause = 50 * time.Millisecond

// longestPause bounds the pauses where nobody has said how long they may be.
const longestPause = 15 * time.Second

// Member is one PostgreSQL process, shared by all pools that connect to it on
// whatever loop: it bounds the ramp of new connections, and holds them off
// while the member cannot be reached.
type Member struct {
	Address string

	mu     sync.Mutex // guards what follows
	logins int
	pause  backoff
}

// Failing reports whether the member could not be reached lately.
func (m *Member) Failing() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pause.failures > 0
}

// barred returns for how long no login may start, because the last has failed, and
// whether it has.
func (m *Member) barred() (wait time.Duration, failed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pause.wait(), m.pause.failures > 0
}

// begin asks to start a login. When it may not start yet, it returns after
// how long to ask again.
func (m *Member) begin() (wait time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if wait := m.pause.wait(); wait > 0 {
		return wait, false
	}
	if m.logins >= maxLogins || m.pause.failures > 0 && m.logins > 0 {
		return 10 * time.Millisecond, false // after a failure one attempt at a time
	}
	m.logins++
	return 0, true
}

// end reports how a login went: whether the member was reached at all.
func (m *Member) end(reached bool, longest time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logins--
	if reached {
		m.pause = backoff{}
	} else {
		m.pause.fail(longest)
	}
}

// backoff is a pause that doubles with each failure, with a jitter of a
// quarter so that nodes do not march in step.
type backoff struct {
	failures int
	until    time.Time
}

func (b *backoff) wait() time.Duration {
	if b.failures == 0 {
		return 0
	}
	return time.Until(b.until)
}

func (b *backoff) fail(longest time.Duration) {
	if b.wait() > 0 {
		return // began before the failure that this pause is for
	}
	pause := firstPause << min(b.failures, 20)
	if longest <= 0 {
		longest = longestPause
	}
	pause = min(pause, longest)
	b.failures++
	b.until = time.Now().Add(pause - time.Duration(rand.Int64N(int64(pause)/4+1)))
}

package tenants

import (
	"sync"
	"sync/atomic"
)

// Registry holds the current Snapshot. Readers load it without a lock; changes
// come whole, one after the other.
type Registry struct {
	current atomic.Pointer[Snapshot]

	mu       sync.Mutex // orders Replace, guards watchers
	watchers map[chan struct{}]struct{}
}

// NewRegistry returns a Registry that starts with s, which must not be nil.
func NewRegistry(s *Snapshot) *Registry {
	if s == nil {
		panic("tenants: NewRegistry without a snapshot")
	}
	r := &Registry{watchers: make(map[chan struct{}]struct{})}
	r.current.Store(s)
	return r
}

// Snapshot returns the current snapshot. Keep it for as long as one decision
// takes, so that the decision is made of one moment.
func (r *Registry) Snapshot() *Snapshot { return r.current.Load() }

// Replace makes s, which must not be nil, the current snapshot and wakes the
// watchers. It does not wait for them.
func (r *Registry) Replace(s *Snapshot) {
	if s == nil {
		panic("tenants: Replace without a snapshot")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current.Store(s)
	for c := range r.watchers {
		select {
		case c <- struct{}{}:
		default: // already woken; it will read the latest
		}
	}
}

// Watch returns a channel that receives after a Replace, and a function that
// ends the watch. Replaces in quick succession are one wake-up: read Snapshot
// after each, it is never older than the last one that woke. Stop may be called
// more than once and does not close the channel.
func (r *Registry) Watch() (changes <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers[c] = struct{}{}
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, c)
	}
}

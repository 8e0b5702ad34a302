package router

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"howdah/tenants"
)

// What the console's commands are refused with, beside ErrNotFound.
var (
	// ErrPaused reports that everything is paused or suspended already.
	ErrPaused = errors.New("router: already suspended/paused")
	// ErrNotPaused reports that there is nothing to resume.
	ErrNotPaused = errors.New("router: not paused")
	// ErrDatabasesPaused reports that single databases are paused.
	ErrDatabasesPaused = errors.New("router: databases are paused")
	// ErrShuttingDown reports that nothing is resumed any more.
	ErrShuttingDown = errors.New("router: shutting down")
)

// mode is what has been switched for all databases together.
type mode uint8

const (
	modeActive mode = iota
	modePaused
	modeSuspended
)

// switches are what operators have switched, and whom operations hold. They belong to
// names, so that they outlive pools and reloads.
type switches struct {
	mu       sync.Mutex
	mode     mode
	paused   map[string]bool // databases by name
	killed   map[string]bool // of these, the ones that KILL of all databases paused
	disabled map[string]bool
	held     map[string]map[string]*hold // tenants by name, by operation
	waking   chan struct{}               // closed by the end of the suspension; nil while there is none
	known    *tenants.Snapshot           // by whose names they go
}

// hold is one that an operation has begun.
type hold struct {
	until  time.Time
	timer  *time.Timer
	ending bool // the database may be used again, but not by clients yet
}

// pause notes a PAUSE; "" is all databases.
func (w *switches) pause(database string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mode != modeActive {
		return ErrPaused
	}
	if database == "" {
		w.mode = modePaused
		return nil
	}
	set(&w.paused, database)
	return nil
}

// kill notes the KILL of a database; all says that it was one of all.
func (w *switches) kill(database string, all bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mode != modeActive {
		return ErrPaused
	}
	if database == "" {
		return nil
	}
	if all && !w.paused[database] {
		set(&w.killed, database)
	}
	set(&w.paused, database)
	return nil
}

// suspend notes a SUSPEND.
func (w *switches) suspend() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.mode != modeActive:
		return ErrPaused
	case len(w.paused) > 0:
		return ErrDatabasesPaused
	}
	w.mode, w.waking = modeSuspended, make(chan struct{})
	return nil
}

// resume notes a RESUME. That of all databases leaves alone what was paused by
// name, as PgBouncer does, but ends a KILL of all.
func (w *switches) resume(database string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if database != "" {
		if !w.paused[database] {
			return fmt.Errorf("%w: database %q", ErrNotPaused, database)
		}
		delete(w.paused, database)
		delete(w.killed, database)
		return nil
	}
	if w.mode == modeActive && len(w.killed) == 0 {
		return ErrNotPaused
	}
	w.endMode()
	for name := range w.killed {
		delete(w.paused, name)
	}
	clear(w.killed)
	return nil
}

// wake ends a suspension, if there is one.
func (w *switches) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mode == modeSuspended {
		w.endMode()
	}
}

// endMode is for holders of the lock.
func (w *switches) endMode() {
	w.mode = modeActive
	if w.waking != nil {
		close(w.waking)
		w.waking = nil
	}
}

func (w *switches) disable(database string, disabled bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if disabled {
		set(&w.disabled, database)
	} else {
		delete(w.disabled, database)
	}
}

// hold notes that an operation holds a tenant, for so long from now on. ended is called
// if that is over without a release.
func (w *switches) hold(tenant, operation string, lasts time.Duration, ended func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.held[tenant][operation]
	if h == nil {
		h = &hold{}
		if w.held == nil {
			w.held = map[string]map[string]*hold{}
		}
		if w.held[tenant] == nil {
			w.held[tenant] = map[string]*hold{}
		}
		w.held[tenant][operation] = h
	} else {
		h.timer.Stop()
	}
	h.until, h.ending = time.Now().Add(lasts), false
	h.timer = time.AfterFunc(lasts, func() {
		if w.expire(tenant, operation, h) {
			ended()
		}
	})
}

// expire ends a hold whose time is over, unless it has been made to last longer.
func (w *switches) expire(tenant, operation string, h *hold) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held[tenant][operation] == h && !time.Now().Before(h.until) && w.dropHold(tenant, operation)
}

// release ends an operation's hold, and reports whether there was one.
func (w *switches) release(tenant, operation string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropHold(tenant, operation)
}

// dropHold is for holders of the lock.
func (w *switches) dropHold(tenant, operation string) bool {
	h := w.held[tenant][operation]
	if h == nil {
		return false
	}
	h.timer.Stop()
	if delete(w.held[tenant], operation); len(w.held[tenant]) == 0 {
		delete(w.held, tenant)
	}
	return true
}

// endHold notes that an operation has done what it holds a tenant for.
func (w *switches) endHold(tenant, operation string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.held[tenant][operation]; h != nil {
		h.ending = true
	}
}

// inOperation reports whether an operation has nobody be in a tenant's database.
func (w *switches) inOperation(tenant string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.held[tenant] {
		if !h.ending {
			return true
		}
	}
	return false
}

// holds reports whether the pools of a database are to be paused.
func (w *switches) holds(database string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mode == modePaused || w.paused[database] || len(w.held[database]) > 0
}

// follow has what was switched for a tenant of the catalog be so under the name that it
// has in a snapshot.
func (w *switches) follow(now *tenants.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.known
	if w.known = now; was == now {
		return
	}
	for _, names := range []*map[string]bool{&w.paused, &w.killed, &w.disabled} {
		followed := make(map[string]bool, len(*names))
		for name := range *names {
			if t, ok := was.Tenant(name); ok && t.ID != "" {
				if t, _, ok = now.Follow(t, &tenants.User{}); ok {
					name = t.Name
				}
			}
			followed[name] = true
		}
		*names = followed
	}
}

// of tells what has been switched for a database by its name.
func (w *switches) of(database string) (paused, disabled bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.paused[database], w.disabled[database]
}

func (w *switches) current() mode {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mode
}

// suspension returns what is closed when the suspension ends, nil while there
// is none.
func (w *switches) suspension() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waking
}

func set(names *map[string]bool, name string) {
	if *names == nil {
		*names = map[string]bool{}
	}
	(*names)[name] = true
}

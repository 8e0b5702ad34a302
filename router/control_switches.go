package router

import (
	"errors"
	"fmt"
	"sync"
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

// switches are what operators have switched. They belong to names, so that they
// outlive pools and reloads.
type switches struct {
	mu       sync.Mutex
	mode     mode
	paused   map[string]bool // databases by name
	killed   map[string]bool // of these, the ones that KILL of all databases paused
	disabled map[string]bool
	waking   chan struct{} // closed by the end of the suspension; nil while there is none
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

// holds reports whether the pools of a database are to be paused.
func (w *switches) holds(database string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mode == modePaused || w.paused[database]
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

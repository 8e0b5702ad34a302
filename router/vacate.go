package router

import (
	"errors"
	"sync"
	"time"

	"howdah/pool"
	"howdah/wire/loop"
)

// Databases are copied, dropped and renamed only while nobody is in them: PostgreSQL
// looks every 100 ms, for 5 s, and gives up. Howdah's idle servers would be there. So the
// database is vacated when PostgreSQL does not answer at once: those servers are closed,
// on whichever loop, and until the command's transaction has ended those who need one
// wait, as they do while a database is paused. Not before: first PostgreSQL looks whether
// the role may do such a thing, and says no at once. Otherwise anybody could have anybody's
// servers closed. Other Howdah nodes know nothing of it.

// vacateAfter is how long PostgreSQL may look at the role's rights.
const vacateAfter = 20 * time.Millisecond

var errVacated = errors.New("the database is copied, dropped or renamed")

// vacancies are the databases that are kept free of servers, each for so many clients.
type vacancies struct {
	mu    sync.Mutex
	keeps map[databaseKey]int
}

// add keeps a database free for n more clients, or fewer, and reports whether it is
// that now.
func (v *vacancies) add(key databaseKey, n int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keeps == nil {
		v.keeps = map[databaseKey]int{}
	}
	if v.keeps[key] += n; v.keeps[key] == 0 {
		delete(v.keeps, key)
	}
	return v.keeps[key] > 0
}

func (v *vacancies) has(key databaseKey) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.keeps[key] > 0
}

// vacating is what a client does for its commands on databases, until the transaction
// has ended.
type vacating struct {
	timer loop.Timer
	keys  []databaseKey // that it keeps free
	seen  int           // commands of the transaction's
}

// onDatabases has databases vacated for commands that have just been sent, should
// PostgreSQL not answer at once.
func (c *client) onDatabases() {
	if c.vacating == nil {
		c.vacating = &vacating{}
	}
	if v := c.vacating; v.seen < len(c.databases) && !v.timer.Armed() {
		c.w.loop.Arm(&v.timer, vacateAfter, c.vacate)
	}
}

// vacate vacates the databases of all commands.
func (c *client) vacate() {
	v := c.vacating
	v.seen = len(c.databases)
	for _, d := range c.databases {
		key := databaseKey{c.route.databaseKey().cluster, d.vacant()}
		v.keys = append(v.keys, key)
		c.w.server.vacate(key)
	}
}

// endVacating lets servers into the databases again.
func (c *client) endVacating() {
	v := c.vacating
	c.vacating = nil
	c.w.loop.Disarm(&v.timer)
	for _, key := range v.keys {
		c.w.server.occupy(key)
	}
}

func (s *Server) vacate(key databaseKey) {
	s.vacancies.add(key, 1)
	for _, w := range s.workers {
		w.loop.Post(func() {
			if s.vacancies.has(key) {
				w.vacate(key)
			}
		})
	}
}

func (s *Server) occupy(key databaseKey) {
	if s.vacancies.add(key, -1) {
		return
	}
	for _, w := range s.workers {
		w.loop.Post(func() {
			if !s.vacancies.has(key) {
				w.occupy(key)
			}
		})
	}
}

// vacate closes a database's idle servers, and gives out no more.
func (w *worker) vacate(key databaseKey) {
	for _, c := range w.slots { // a server that is kept for a sequence's values is idle too
		if c != nil && c.watched == watchSequence && c.route.databaseKey() == key {
			c.unpinSequence()
			c.sendInjected()
			c.settleDown()
		}
	}
	for _, r := range w.routes {
		if r.databaseKey() == key {
			r.everyPool(pause)
		}
	}
	if l := w.listeners[key]; l != nil {
		l.lost(errVacated)
	}
}

// occupy undoes vacate.
func (w *worker) occupy(key databaseKey) {
	for _, r := range w.routes {
		if r.databaseKey() == key && !r.paused() {
			r.everyPool((*pool.Pool).Resume)
		}
	}
	if l := w.listeners[key]; l != nil && l.conn == nil {
		l.open()
	}
}

// paused reports whether the route's servers are to be closed as they become idle.
func (r *route) paused() bool {
	return r.w.server.switches.holds(r.tenant.name) || r.w.server.vacancies.has(r.databaseKey())
}

// databasesChanged closes clients of databases that are gone, or have another name, and
// tells of what was done.
func (c *client) databasesChanged(all []onDatabase) {
	s := c.w.server
	if c.news {
		c.tellDatabases(all)
	}
	for _, d := range all {
		if !d.done || d.command != DropDatabase && d.command != RenameDatabase {
			continue
		}
		key := databaseKey{c.route.databaseKey().cluster, d.name}
		for _, w := range s.workers {
			w.loop.Post(func() {
				for _, r := range w.routes {
					if r.databaseKey() == key {
						w.closeRoute(r)
					}
				}
			})
		}
	}
}

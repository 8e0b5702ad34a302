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
// servers closed. Other Howdah nodes hear of it from the catalog, if there is one.

// vacateAfter is how long PostgreSQL may look at the role's rights.
const vacateAfter = 20 * time.Millisecond

// vacateLook is how long an answer may be on its way through a loop.
const vacateLook = 5 * time.Millisecond

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
	timer  loop.Timer
	hand   *onDatabase   // that PostgreSQL is at
	looked bool          // it was still at it when its time was over
	keys   []databaseKey // that are kept free, here and
	ends   []func()      // elsewhere
}

// onDatabases has the database vacated for the command that PostgreSQL is at, should it
// not answer at once, and lets servers into those again that need not be vacant any more.
// A command that stands behind others is none that PostgreSQL has looked at.
func (c *client) onDatabases() {
	d, v := c.databaseAtHand(), c.vacating
	switch {
	case v == nil && d == nil:
		return
	case v == nil:
		v = &vacating{}
		c.vacating = v
	case v.hand == d && (d != nil || c.lockDatabases()):
		return
	case !c.lockDatabases():
		if c.endVacating(); d == nil {
			return
		}
		v = &vacating{}
		c.vacating = v
	}
	v.hand, v.looked = d, false
	if c.w.loop.Disarm(&v.timer); d != nil {
		c.w.loop.Arm(&v.timer, vacateAfter, c.vacate)
	}
}

// vacate vacates the database of the command that PostgreSQL is at.
func (c *client) vacate() {
	v := c.vacating
	if c.server.Conn.Paused() { // the answer may be there, and not be read
		c.w.loop.Arm(&v.timer, vacateAfter, c.vacate)
		return
	}
	if !v.looked {
		v.looked = true
		c.w.loop.Arm(&v.timer, vacateLook, c.vacate)
		return
	}
	key := databaseKey{c.route.databaseKey().cluster, v.hand.vacant()}
	v.keys = append(v.keys, key)
	c.w.server.vacate(key)
	if c.w.server.databaseDoor != nil {
		v.ends = append(v.ends, c.vacateElsewhere(v.hand))
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
	for _, end := range v.ends {
		end()
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
	w.endSequencePins(func(r *route) bool { return r.databaseKey() == key })
	for _, r := range w.routes {
		if r.databaseKey() == key {
			r.everyPool(pause)
		}
	}
	if l := w.listeners[key]; l != nil {
		l.lost(errVacated)
	}
}

// endSequencePins takes servers from idle clients that keep them for a sequence's values
// only, as the end of sequence_pin_timeout does.
func (w *worker) endSequencePins(of func(*route) bool) {
	for _, c := range w.slots {
		if c != nil && c.keepsForSequence() && of(c.route) {
			c.unpinSequence()
			c.sendInjected()
			c.settleDown()
		}
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
	for i := range all {
		d := &all[i]
		if d.fate == foundSo || d.command != DropDatabase && d.command != RenameDatabase {
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

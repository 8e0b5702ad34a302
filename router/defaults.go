package router

import (
	"time"

	"howdah/pool"
	"howdah/wire/loop"
)

// alteration says whose sessions start with other settings from now on. What
// PostgreSQL gives to new sessions only, servers that are open never get: they
// are replaced.
type alteration uint8

const (
	alteredRole alteration = 1 << iota
	alteredDatabase
	alteredSystem
)

// alters returns what a command with this tag may have altered.
func alters(tag []byte) alteration {
	switch string(tag) {
	case "ALTER ROLE":
		return alteredRole
	case "ALTER DATABASE":
		return alteredDatabase
	case "ALTER SYSTEM":
		return alteredSystem
	}
	return 0
}

// origin is the user by whose session something was altered, and where.
type origin struct {
	databaseKey
	user string
}

func (r *route) origin() origin { return origin{r.databaseKey(), r.key.user} }

// reaches reports whether an alteration may concern the servers of at, when a
// session of by has made it. The tag does not say whose defaults it changed:
// superusers change anybody's, others a role's own and those of the databases
// that it owns. Nor is it sure that PostgreSQL has read its configuration
// again: the word was in a text.
func (a alteration) reaches(at, by origin, superuser bool) bool {
	switch {
	case at.cluster != by.cluster:
		return false
	case superuser, at.user == by.user:
		return true
	}
	return a&alteredDatabase != 0 && at.database == by.database
}

// defaultsAltered has the servers replaced, on whichever loop, that an
// alteration of this client's reaches.
func (c *client) defaultsAltered(a alteration) {
	by := c.route.origin()
	superuser := isSuperuser(c.vars) || isSuperuser(c.base)
	if a&alteredRole != 0 { // its password, it may be
		c.w.server.lookups.altered(by.cluster, by.user, superuser)
	}
	for _, w := range c.w.server.workers {
		w.loop.Post(func() {
			for _, r := range w.routes {
				if a.reaches(r.origin(), by, superuser) {
					r.renewal.ask(r, a&alteredSystem != 0)
				}
			}
		})
	}
}

// isSuperuser reports whether v is of a session whose role is a superuser.
func isSuperuser(v *vars) bool {
	if v == nil {
		return false
	}
	is, _ := v.value("is_superuser")
	return is == "on"
}

// renewal bounds how often a route's servers are replaced: a client may alter
// its role in a loop.
type renewal struct {
	done  bool
	last  time.Duration // loop time
	timer loop.Timer
}

// renewalPause is the least time between two replacements.
const renewalPause = time.Second

// ask replaces the servers of r, at once or when the pause is over. Later is
// for what PostgreSQL's main process is only now told of: it takes a whole one.
func (n *renewal) ask(r *route, later bool) {
	now := r.w.loop.Now()
	wait := time.Duration(0)
	if n.done {
		wait = n.last + renewalPause - now
	}
	if later {
		n.done, n.last, wait = true, now, renewalPause // others in between wait for it too
	}
	if wait > 0 {
		r.w.loop.Arm(&n.timer, wait, func() { n.run(r) })
		return
	}
	n.run(r)
}

func (n *renewal) run(r *route) {
	r.w.loop.Disarm(&n.timer)
	n.done, n.last = true, r.w.loop.Now()
	clear(r.logins)
	r.everyPool((*pool.Pool).Reconnect) // the last: the route may be gone with its servers
}

package router

import (
	"sync/atomic"
	"time"

	"howdah/router/members"
	"howdah/wire"
)

// A read may go to a standby that has everything the database's clients have
// written. When they last wrote is noted when the end of a transaction is read
// from the server, before the client is told.

// writes are those of all clients of one database, on whatever loop.
type writes struct {
	at atomic.Int64 // members.Clock of the last one
}

// last returns when the database was last written.
func (w *writes) last() time.Duration { return time.Duration(w.at.Load()) }

// until notes that something may be written up to a time.
func (w *writes) until(at time.Duration) {
	for {
		old := w.at.Load()
		if old >= int64(at) || w.at.CompareAndSwap(old, int64(at)) {
			return
		}
	}
}

// wrote notes that a transaction which may have written has ended.
func (c *client) wrote() {
	c.shared.counts.wrote = false
	if r := c.route; r.ddlSeen != r.ddl {
		r.ddlSeen = r.ddl
		r.database.Load().knowledge.changes.Add(1)
	}
	if c.away == nil {
		c.route.written()
		c.own = members.Clock()
	}
}

// written notes that something has been committed in the route's database.
func (r *route) written() {
	r.database.Load().writes.until(members.Clock()) // though nobody watches: others may soon, and read there
	if r.watch != nil {
		r.watch.Wrote()
	}
}

// unknownFor is for how long what a lost server was doing may still be committed.
const unknownFor = 20 * time.Second

// mayStillWrite notes that the client's server goes, and what it does may yet be
// committed.
func (c *client) mayStillWrite() {
	if c.route.watch != nil && c.away == nil && (c.commits() || c.status == wire.TxIdle && c.open) {
		c.own = members.Clock() + unknownFor
		c.route.database.Load().writes.until(c.own)
	}
}

// mayWrite notes that a text is sent which may write without a tag that says so.
// What a transaction does that was begun READ ONLY writes nothing, until something
// is sent that could end it, or have it write.
func (s *session) mayWrite(r *reading) {
	s.reading = s.reading && (r.planned || r.effects&marksPlace != 0) && r.effects&(several|mayCommit) == 0 && len(r.settings) == 0
	s.writing = s.writing || !s.reading && (r.effects&(acts|movesSequence|defines) != 0 || r.command == commandExecute)
}

// readTag reports whether a command with this tag has written nothing. EXPLAIN may
// have, with ANALYZE.
func readTag(tag []byte) bool {
	switch tag[0] {
	case 'S':
		return hasPrefix(tag, "SELECT") || hasPrefix(tag, "SET") || hasPrefix(tag, "SHOW") || hasPrefix(tag, "SAVEPOINT") || hasPrefix(tag, "START")
	case 'B':
		return hasPrefix(tag, "BEGIN")
	case 'F':
		return hasPrefix(tag, "FETCH")
	case 'M':
		return hasPrefix(tag, "MOVE")
	case 'R':
		return hasPrefix(tag, "RESET") || hasPrefix(tag, "RELEASE") || hasPrefix(tag, "ROLLBACK")
	case 'C':
		return string(tag) == "COMMIT" || hasPrefix(tag, "CLOSE CURSOR") // COMMIT PREPARED has
	case 'D':
		return hasPrefix(tag, "DECLARE") || hasPrefix(tag, "DEALLOCATE") || hasPrefix(tag, "DISCARD")
	case 'L':
		return hasPrefix(tag, "LISTEN")
	case 'U':
		return hasPrefix(tag, "UNLISTEN")
	}
	return false
}

func hasPrefix(tag []byte, word string) bool {
	return len(tag) >= len(word) && string(tag[:len(word)]) == word
}

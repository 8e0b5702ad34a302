package router

import (
	"bytes"
	"strconv"
	"strings"
)

// statementKey is the full identity of a statement that sessions may share:
// its text, its parameter types, and the settings that PostgreSQL looks at
// when it parses. Never a hash alone.
type statementKey struct {
	text, oids, vars string
	generation       uint64
}

// statement is a text that some session has prepared, whatever it calls it.
type statement struct {
	reading
	key   statementKey
	refs  int // sessions and servers that hold it
	shape shape
	stale bool // PostgreSQL takes it apart again when it is next used; it is one session's then

	noticed bool // PostgreSQL may tell the client something when it is parsed
}

// takesParameters reports whether EXECUTE looks at what it is given. In doubt it
// does.
func (st *statement) takesParameters() bool {
	return len(st.key.oids) > 0 || strings.Contains(st.key.text, "$")
}

// same reports whether both are the same text of the same parameters.
func (st *statement) same(other *statement) bool {
	return st.key.text == other.key.text && st.key.oids == other.key.oids
}

// maxSharedText bounds the texts that are looked up to be shared, in bytes.
const maxSharedText = 16 << 10

// statements is a worker's table of shared statements.
type statements struct {
	known map[statementKey]*statement
}

// take returns the statement with this identity, counted once more: one of its
// own when sure is false, which says that v may not be what holds at the server.
func (t *statements) take(text, oids []byte, v *vars, generation uint64, sure bool) *statement {
	shared := sure && len(text) <= maxSharedText && !freezes(text) && (v.conforming || bytes.IndexByte(text, '\\') < 0) // PostgreSQL warns of each
	if shared {
		if st := t.known[statementKey{string(text), string(oids), v.parse, generation}]; st != nil {
			st.refs++
			return st
		}
	}
	st := &statement{key: statementKey{string(text), string(oids), v.parse, generation}, refs: 1, reading: v.read(text)}
	st.noticed = v.noticed(text)
	if st.quiet && len(oids) == 0 {
		st.shape = quietShape()
	}
	if shared {
		if t.known == nil {
			t.known = map[statementKey]*statement{}
		}
		t.known[st.key] = st
	}
	return st
}

// drop gives back one count of st, which may be nil.
func (t *statements) drop(st *statement) {
	if st == nil {
		return
	}
	if st.refs--; st.refs == 0 && t.known[st.key] == st {
		delete(t.known, st.key)
	}
}

// generation counts the commands that may have changed what statements mean in
// the database: a Parse behind one is a real Parse.
func (s *session) generation() uint64 {
	if s.ddl == nil {
		return 0
	}
	return *s.ddl
}

// changesMeaning reports whether a command with this tag may change what
// statements mean.
func changesMeaning(tag []byte) bool {
	for _, word := range []string{"CREATE ", "ALTER ", "DROP ", "DO", "CALL", "DISCARD TEMP"} {
		if bytes.HasPrefix(tag, []byte(word)) {
			return true
		}
	}
	return false
}

// frozen are the literals that PostgreSQL replaces by the current time when
// it parses, for the life of the prepared statement.
var frozen = [][]byte{[]byte("now"), []byte("today"), []byte("tomorrow"), []byte("yesterday"), []byte("allballs")}

// freezes reports whether text may hold such a literal. Statements that do are
// never shared between Parses.
func freezes(text []byte) bool {
	if !bytes.ContainsRune(text, '\'') {
		return false
	}
	for _, word := range frozen {
		for i := 0; i+len(word) <= len(text); i++ {
			if text[i]|0x20 == word[0] && bytes.EqualFold(text[i:i+len(word)], word) {
				return true
			}
		}
	}
	return false
}

// prepared is a statement parsed at one server, under a name of ours.
type prepared struct {
	stmt       *statement
	name       string
	pending    bool // ParseComplete has not come yet
	check      check
	epoch      int    // of the backend when it was parsed
	syncs      uint32 // of the session that has it parsed, while pending
	next, prev *prepared
}

// backend is what a worker remembers of one server's session. It travels with
// the server from client to client.
type backend struct {
	vars      *vars    // in force, as far as reported or set by us
	user      *session // who has it, or had it last
	ownValues bool     // values of sequences there are that session's own
	changedBy *session // who changed settings that nobody knows
	base      *vars    // in force after login

	known   map[*statement]*prepared
	lru     prepared    // list head; the most recently used is next
	doubles []*prepared // of no use any more, to be closed
	serial  int         // of the last name given
	epoch   int         // counts how often all were removed

	helpers  uint64 // which of our own statements are parsed; see inject.go
	cancels  int    // cancel requests on their way to it
	poisoned bool   // a cancel request may still hit it, or its statements are outdated: it must be closed
	stash    []byte
	streams  int    // bytes of a message from the server that are still to come
	drop     bool   // of that message: nobody sees it
	who      uint64 // identity for SHOW SERVERS
	running  running
}

func newBackend(base *vars) *backend {
	b := &backend{vars: base, base: base}
	b.lru.next, b.lru.prev = &b.lru, &b.lru
	return b
}

// find returns st as it is known at the server, and marks it as used.
func (b *backend) find(st *statement) *prepared {
	p := b.known[st]
	if p != nil {
		p.unlink()
		b.front(p)
	}
	return p
}

// add registers st under a new name, pending.
func (b *backend) add(st *statement) *prepared {
	b.serial++
	p := &prepared{stmt: st, name: ownPrefix + strconv.Itoa(b.serial), pending: true, epoch: b.epoch}
	if b.known == nil {
		b.known = map[*statement]*prepared{}
	}
	st.refs++
	b.known[st] = p
	b.front(p)
	return p
}

// oldest returns the least recently used statement that is not pending, nil
// for none.
func (b *backend) oldest() *prepared {
	for p := b.lru.prev; p != &b.lru; p = p.prev {
		if !p.pending {
			return p
		}
	}
	return nil
}

// remove forgets p.
func (b *backend) remove(p *prepared, t *statements) {
	if p.next == nil {
		return // forgotten already
	}
	if b.known[p.stmt] == p {
		delete(b.known, p.stmt)
	}
	p.unlink()
	t.drop(p.stmt)
}

// evict forgets p while its Close is on its way. The count of its statement is
// kept until that is answered.
func (b *backend) evict(p *prepared) {
	delete(b.known, p.stmt)
	p.unlink()
}

// restore takes back evict: the Close was skipped.
func (b *backend) restore(p *prepared, t *statements) {
	switch {
	case p.epoch != b.epoch: // all were removed meanwhile
		t.drop(p.stmt)
	case b.known[p.stmt] != nil: // it was parsed once more meanwhile
		b.doubles = append(b.doubles, p)
	default:
		b.known[p.stmt] = p
		b.front(p)
	}
}

// removeAll forgets every statement that was parsed, not those that are still
// being parsed: they were sent after whatever removed the others.
func (b *backend) removeAll(t *statements) {
	b.epoch++
	for _, p := range b.doubles {
		t.drop(p.stmt)
	}
	b.doubles = nil
	for p := b.lru.next; p != &b.lru; {
		next := p.next
		if !p.pending {
			b.remove(p, t)
		}
		p.epoch = b.epoch
		p = next
	}
	b.helpers = 0
}

// close lets go of everything, with the server.
func (b *backend) close(t *statements) {
	b.removeAll(t)
	for p := b.lru.next; p != &b.lru; p = b.lru.next {
		b.remove(p, t)
	}
}

func (b *backend) front(p *prepared) {
	p.prev, p.next = &b.lru, b.lru.next
	b.lru.next.prev, b.lru.next = p, p
}

func (p *prepared) unlink() {
	if p.next != nil {
		p.prev.next, p.next.prev = p.next, p.prev
		p.next, p.prev = nil, nil
	}
}

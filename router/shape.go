package router

import (
	"bytes"
	"hash/maphash"

	"howdah/wire"
)

// PostgreSQL settles the columns of a prepared statement's result when it is
// parsed, and refuses to execute it once they would be others. A server that
// parses the text later would not know. So each statement is described when it
// is first parsed, and again where it is parsed behind a change that may have
// changed its result: it is not executed where its columns are others.

// shape is what PostgreSQL answered when a statement was first described.
type shape struct {
	known   bool
	rows    bool   // it has a result
	columns uint64 // of the result: a hash of their names and types
	path    string // search_path, which says what the names in the text are
	told    []byte // the answer, of what PostgreSQL never looks at again; nil where it is too long
}

// maxTold bounds the answers to Describe that are kept, in bytes.
const maxTold = 2 << 10

// quietShape is that of commands without parameters and rows.
func quietShape() shape { return shape{known: true, told: describedQuiet} }

// describing is the Describe of ours behind the Parse of a statement.
type describing struct {
	stmt  *statement
	check *prepared // compare with what is known; nil to learn it
	told  []byte
	long  bool // the answer is too long to be kept
}

// shapeSeed makes equal columns equal hashes while the process lives.
var shapeSeed = maphash.MakeSeed()

// hashColumns hashes what must not change of a RowDescription's columns: name,
// type and type modifier, not the table that they are from.
func hashColumns(body []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(shapeSeed)
	for body = body[min(2, len(body)):]; len(body) > 0; {
		end := bytes.IndexByte(body, 0)
		if end < 0 || len(body) < end+columnLen {
			break
		}
		h.Write(body[:end+1])
		h.Write(body[end+7 : end+columnLen-2])
		body = body[end+columnLen:]
	}
	return h.Sum64()
}

// columnLen is the length of a column in RowDescription with the zero behind
// its name: OID and number in its table, type, type's length and modifier,
// format.
const columnLen = 1 + 4 + 2 + 4 + 2 + 4 + 2

func (s *session) searchPath() string {
	path, _ := s.vars.value("search_path")
	return path
}

// learnShape has a statement described that was just parsed for the first time.
func (s *session) learnShape(p *prepared) {
	if !p.stmt.shape.known {
		s.describe(p, nil)
	}
}

// mayDiffer reports whether the result of a statement that is parsed now may
// have other columns than when it was first parsed.
func (s *session) mayDiffer(st *statement) bool {
	return st.planned && st.shape.rows && (s.defining || st.key.generation != s.generation() || st.shape.path != s.searchPath())
}

// knows reports whether Describe of st, which the client calls name, has the
// same answer as ever.
func (s *session) knows(st *statement, name []byte) bool {
	decided := s.queue.cycles == 0 // what an earlier error skips
	switch {
	case st.shape.told == nil, s.changes > 0, len(name) == 0 && !decided:
		return false
	}
	if !st.shape.rows {
		return true // which parameters it takes its Parse has decided
	}
	sameNames := !st.explains() || st.shape.path == s.searchPath() && s.doubts()&doubtNames == 0
	return sameNames && decided && s.status != wire.TxFailed
}

// explains reports whether the statement is an EXPLAIN: of those that have rows
// and no plan the only one whose names PostgreSQL looks up to describe it. A
// FETCH must not be described without need: where its cursor is gone PostgreSQL
// 15 crashes.
func (st *statement) explains() bool {
	return explains([]byte(st.key.text[:min(len(st.key.text), maxNoted)]))
}

func explains(text []byte) bool {
	l := lexer{text: text, conforming: true}
	return l.next().is("explain")
}

func (s *session) describe(p, check *prepared) {
	s.shared.toServer = wire.AppendTarget(s.shared.toServer, wire.Describe, wire.KindStatement, p.name)
	p.stmt.refs++
	s.forward(entry{kind: entrySwallow, typ: wire.Describe, more: &detail{describing: &describing{stmt: p.stmt, check: check}}})
}

// described takes a part of the answer to a Describe of ours.
func (s *session) described(d *describing, typ byte, body []byte) {
	if d.long = d.long || len(d.told)+len(body) > maxTold; !d.long {
		d.told = wire.AppendMessage(d.told, typ, body)
	}
	if typ == wire.ParameterDescription {
		return
	}
	now := shape{known: true, rows: typ == wire.RowDescription, path: s.searchPath()}
	switch {
	case now.rows && d.stmt.planned:
		now.columns = hashColumns(body)
	case !d.long:
		now.told = d.told
	}
	switch p := d.check; {
	case p == nil:
		d.stmt.shape = now
	default:
		p.check = checkPassed
		if now.columns != d.stmt.shape.columns || now.rows != d.stmt.shape.rows {
			p.check = checkFailed
		}
	}
}

// undescribed takes back a Describe that failed or was skipped.
func (d *describing) undescribed() {
	if d.check != nil && d.check.check == checkRuns {
		d.check.check = checkNeeded
	}
}

// check is how far the comparison of a statement with what its clients were
// told has come.
type check uint8

const (
	checkPassed check = iota // or was not needed
	checkNeeded
	checkRuns
	checkFailed
)

// checked reports whether the statement at the server is what the client means
// by it; where it is not, v says what becomes of the message.
func (s *session) checked(p *prepared) (v verb, ok bool) {
	switch p.check {
	case checkNeeded:
		p.check = checkRuns
		s.describe(p, p)
		return verbStall, false
	case checkRuns:
		return verbStall, false
	case checkFailed:
		s.backend.evict(p) // the next time it may be what it was
		s.closeEvicted(p)
		return s.fail(&wire.Error{
			Severity: "ERROR", Code: wire.CodeFeatureNotSupported,
			Message: "cached plan must not change result type", Routine: "RevalidateCachedQuery",
		}), false
	}
	return 0, true
}

package router

import (
	"bytes"
	"slices"
	"strings"

	"howdah/wire"
)

// DatabaseCommand is what a client does to a whole database.
type DatabaseCommand uint8

// The commands on databases that PostgreSQL refuses while anybody is in the database:
// in the one that is copied, dropped, renamed or moved.
const (
	CreateDatabase DatabaseCommand = iota
	DropDatabase
	RenameDatabase
	MoveDatabase // to another tablespace
)

// onDatabase is such a command, in a text or on its way.
type onDatabase struct {
	command DatabaseCommand
	name    string // of the database
	other   string // the template of a new one; the new name of one that is renamed
	at      int    // how many statements of the text are in front of it
	long    bool   // one of them may take its time
	fate    fate
}

// fate is what becomes of such a command.
type fate uint8

const (
	onItsWay  fate = iota
	done           // unless the transaction is rolled back
	shaken         // done, and behind it the transaction had an error
	committed      // committed
	foundSo        // it could not be done: the database was there already, or was not there
)

// vacant returns the database in which nobody may be.
func (d *onDatabase) vacant() string {
	if d.command == CreateDatabase {
		return d.other
	}
	return d.name
}

// tag is what PostgreSQL says when it has done the command.
func (d *onDatabase) tag() string {
	switch d.command {
	case CreateDatabase:
		return "CREATE DATABASE"
	case DropDatabase:
		return "DROP DATABASE"
	}
	return "ALTER DATABASE"
}

// database reads a statement that begins with CREATE, DROP or ALTER as far as it is on a
// whole database, and leaves the reader where it was.
func (r *reader) database(word token) {
	at, last := r.lexer, r.last
	defer func() { r.lexer, r.last = at, last }()
	if !r.step().is("database") {
		return
	}
	r.step()
	if word.is("drop") && r.takes("if") {
		r.takes("exists")
	}
	name, ok := r.identifier()
	if !ok {
		return
	}
	r.step()
	d := onDatabase{command: DropDatabase, name: name, at: r.count, long: r.long}
	switch {
	case word.is("create"):
		d.command, d.other = CreateDatabase, r.template()
	case word.is("alter") && r.takes("rename") && r.takes("to"):
		d.command = RenameDatabase
		d.other, ok = r.identifier()
	case word.is("alter"):
		d.command = MoveDatabase
		ok = r.takes("set") && r.takes("tablespace")
	}
	if ok {
		r.databases = append(r.databases, d)
	}
}

// template reads the options of CREATE DATABASE, and returns which database is copied.
func (r *reader) template() string {
	name := "template1"
	r.takes("with")
	for !r.over() {
		option := r.last
		if r.step(); option.is("connection") {
			r.takes("limit")
		}
		if r.last.symbol('=') {
			r.step()
		}
		if option.is("template") && !r.last.is("default") {
			name, _ = r.spelled()
		}
		r.step()
	}
	return name
}

// spelled returns the name that stands here, which may be written as a literal.
func (r *reader) spelled() (string, bool) {
	if text := r.last.text; r.last.kind == tokenString && text[0] == '\'' {
		return truncate(strings.ReplaceAll(string(text[1:len(text)-1]), "''", "'")), true
	}
	return r.identifier()
}

// maxOnDatabases bounds the commands of one message, and of one transaction, that are
// remembered.
const maxOnDatabases = 64

// does has a message's entry know the commands on databases that are sent with it.
func (s *session) does(e *entry, r *reading) {
	if n := min(len(r.databases), maxOnDatabases); n > 0 {
		e.detailed().databases = slices.Clone(r.databases[:n])
		s.commanding++
	}
}

// leaveDatabases notes that an entry leaves the queue.
func (s *session) leaveDatabases(e *entry) {
	if e.more != nil && len(e.more.databases) > 0 {
		s.commanding--
	}
}

// databaseFlag is for messages that make a statement ready.
func databaseFlag(st *statement) uint16 {
	if len(st.databases) > 0 {
		return flagDatabase
	}
	return 0
}

// portalFlag is the same for those that are about a portal.
func (s *session) portalFlag(name []byte) uint16 {
	if p := s.portals[string(cutName(name))]; p != nil && p.does[0] != nil && len(p.does[0].databases) > 0 {
		return flagDatabase
	}
	return 0
}

// databaseAtHand returns the command that PostgreSQL is at, nil where it may be at
// something else: what is in front of it may take its time. PostgreSQL does not say at
// once what it has done of a pipeline.
func (s *session) databaseAtHand() *onDatabase {
	if s.commanding == 0 {
		return nil
	}
	for i := s.queue.head; i < len(s.queue.entries); i++ {
		e := &s.queue.entries[i]
		if e.more != nil && len(e.more.databases) > 0 {
			return e.more.databaseAtHand()
		}
		if e.kind != entrySwallow && e.kind != entryLocal && e.flags&flagDatabase == 0 {
			break
		}
	}
	return nil
}

func (m *detail) databaseAtHand() *onDatabase {
	for i := range m.databases {
		if d := &m.databases[i]; d.at >= m.completed {
			if d.long && d.at > m.completed {
				break
			}
			return d
		}
	}
	return nil
}

// barred returns why a text may not be run: what Howdah is to follow, it could not.
func (s *session) barred(r *reading) *wire.Error {
	if s.mayOnDatabase == nil || s.status == wire.TxFailed {
		return nil
	}
	for i := range r.databases {
		if e := s.mayOnDatabase(&r.databases[i]); e != nil {
			return e
		}
	}
	return nil
}

// databaseDone notes that PostgreSQL has done a statement of an entry's.
func (s *session) databaseDone(e *entry, body []byte) {
	m := e.more
	if m == nil || len(m.databases) == 0 {
		return
	}
	for _, d := range m.databases {
		if d.at == m.completed && d.tag() == string(bytes.TrimSuffix(body, []byte{0})) && len(s.databases) < maxOnDatabases {
			d.fate = done
			if d.command != RenameDatabase { // in no transaction
				d.fate = committed
			}
			s.databases = append(s.databases, d)
		}
	}
	m.completed++
}

// databasesFail notes an error. It may be that PostgreSQL has not done a command, for a
// reason that tells of what nobody has followed: the node died right behind the command.
func (s *session) databasesFail(code string) {
	for i := range s.databases {
		if d := &s.databases[i]; d.fate == done {
			d.fate = shaken
		}
	}
	m := s.queue.first().more
	if m == nil || code != wire.CodeDuplicateDatabase && code != wire.CodeInvalidCatalogName {
		return
	}
	for _, d := range m.databases {
		if d.at == m.completed && (d.command == CreateDatabase) == (code == wire.CodeDuplicateDatabase) && len(s.databases) < maxOnDatabases {
			d.fate = foundSo
			s.databases = append(s.databases, d)
		}
	}
}

// commitDatabases notes a COMMIT.
func (s *session) commitDatabases() {
	for i := range s.databases {
		if d := &s.databases[i]; d.fate == done || d.fate == shaken { // it may have been rolled back to a savepoint
			d.fate = committed
		}
	}
}

// settleDatabases says what has become of the commands of a transaction that has ended.
func (s *session) settleDatabases() {
	for _, d := range s.databases {
		if d.fate == committed || d.fate == foundSo || d.fate == done && !s.undone {
			s.news = s.news || s.mayOnDatabase != nil
			s.shared.counts.databases = append(s.shared.counts.databases, d)
		}
	}
	s.databases = nil
}

// lockDatabases reports whether PostgreSQL has databases locked for what is done and not
// yet committed.
func (s *session) lockDatabases() bool {
	return slices.ContainsFunc(s.databases, func(d onDatabase) bool { return d.fate == done })
}

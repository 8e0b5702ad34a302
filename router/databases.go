package router

import (
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
	done    bool   // it was, unless the transaction is rolled back
	found   bool   // it could not be: the database was there already, or was not there
}

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
	d := onDatabase{command: DropDatabase, name: name}
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

// maxOnDatabases bounds the commands of one transaction that are remembered.
const maxOnDatabases = 64

// noteDatabases remembers commands on databases that are on their way.
func (s *session) noteDatabases(r *reading) {
	if n := maxOnDatabases - len(s.databases); n > 0 {
		s.databases = append(s.databases, r.databases[:min(n, len(r.databases))]...)
	}
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

// databaseDone notes that PostgreSQL has done a command.
func (s *session) databaseDone(tag []byte) {
	for i := range s.databases {
		if d := &s.databases[i]; !d.done && d.tag() == string(tag) {
			d.done = true
			return
		}
	}
}

// databaseRefused notes that PostgreSQL has not done one, for a reason that may tell of
// what nobody has followed: the node died right behind the command.
func (s *session) databaseRefused(code string) {
	if code != wire.CodeDuplicateDatabase && code != wire.CodeInvalidCatalogName {
		return
	}
	for i := range s.databases {
		if d := &s.databases[i]; !d.done && !d.found {
			d.found = (d.command == CreateDatabase) == (code == wire.CodeDuplicateDatabase)
			return
		}
	}
}

// settleDatabases says what has become of the commands of a transaction that has ended,
// or failed.
func (s *session) settleDatabases(idle bool) {
	left := s.databases[:0]
	for _, d := range s.databases {
		switch {
		case idle && (d.done && !s.undone || d.found):
			s.news = s.news || s.mayOnDatabase != nil
			s.shared.counts.databases = append(s.shared.counts.databases, d)
		case d.done && idle: // rolled back
		default:
			d.done = false
			left = append(left, d)
		}
	}
	if s.databases = left; idle && !s.open {
		s.databases = nil
	}
}

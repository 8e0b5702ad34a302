package router

import "howdah/wire"

// Our own statements at a server, parsed when first needed.
const (
	helperSet       = 1 << iota // sets one setting
	helperCommit                // ends the implicit transaction in which settings were set
	helperResetAll              // resets settings that nobody knows
	helperPins                  // looks for what pins the server
	helperTaint                 // asks for the database's taint
	helperSetting               // reads one setting
	helperSettings              // reads all settings that were set
	helperSequences             // forgets the values of sequences
	helperChain                 // begins a transaction like the one before
	helperRan                   // does nothing where there is no cursor
	helperRollback              // ends a transaction in which settings could not be set
	helperBegin                 // the first of those that begin a transaction, one for each combination of options
)

const (
	setName    = ownPrefix + "set"
	setText    = "select pg_catalog.set_config($1, $2, false)"
	commitName = ownPrefix + "commit"
	resetName  = ownPrefix + "reset"

	resetAllName  = ownPrefix + "reset_all"
	sequencesName = ownPrefix + "sequences"
	dropName      = ownPrefix + "drop"
	ranName       = ownPrefix + "ran"
	rollbackName  = ownPrefix + "rollback"
	chainName     = ownPrefix + "chain"
	spareName     = ownPrefix + "spare"
	beginName     = ownPrefix + "begin"
	againName     = ownPrefix + "again"
	asideName     = ownPrefix + "aside"
	noName        = ownPrefix + "none" // never exists
)

// inject sends what must be in front of the client's first message to a
// server: its settings, and the BEGIN that was deferred.
func (s *session) inject() {
	b, first := s.backend, len(s.queue.entries)
	if b.vars != s.inForce() || b.changedBy != nil && b.changedBy != s {
		s.injectVars()
	}
	fails := s.deferred != 0 && s.status == wire.TxFailed
	if s.deferred != 0 {
		options := s.begins(s.deferred)
		s.injectBegin(options)
		s.reading = options.readOnly()
		s.deferred, s.begun = 0, true
	}
	if !s.queue.empty() {
		s.prefixed(first)
	}
	if fails { // it has, without a server
		s.fail(nil)
		s.injectSync(entrySwallow, 0)
	}
	if s.portal != nil {
		s.injectPortal()
	}
}

// prefixed has what the client sends wait for the fate of what was injected:
// the entries from first on.
func (s *session) prefixed(first int) {
	for i := s.queue.head; i < len(s.queue.entries); i++ {
		s.queue.entries[i].flags &^= flagPrefix
		if i >= first {
			s.queue.entries[i].flags |= flagInjected
		}
	}
	s.queue.last().flags |= flagPrefix
	s.prefix = true
}

// injectVars brings the settings in force at the server to the session's, with
// extended messages and no Sync, in front of the client's message: should one
// fail, the server skips the client's message too. A transaction of their own
// makes the settings outlive a rollback of what follows.
func (s *session) injectVars() {
	b := s.backend
	have := b.vars
	changed := b.changedBy != nil && b.changedBy != s
	if changed {
		have = b.base
		if role, ok := b.vars.value("role"); ok {
			have = s.shared.vars.with(have, "role", role) // RESET ALL leaves it
		}
	}
	want := s.inForce()
	set, reset := difference(have, want, b.base)
	if len(set)+len(reset) == 0 && !changed {
		b.vars = want
		return
	}
	s.tuning = &tuning{from: b.vars, to: want}
	if s.reported != nil {
		s.tuning.from = s.reported
	}
	if s.confined {
		s.renewHelpers()
	}
	s.injectBlock(0) // or COMMIT would warn, in the server's log too
	if role, ok := have.value("role"); ok && role != "none" {
		s.injectSet("role", "none") // what it may not set is set without it
	}
	if changed {
		s.run(helperResetAll, resetAllName, "reset all", 0)
	}
	for _, p := range set {
		if p.Name == "role" {
			continue
		}
		if base, ok := b.base.value(p.Name); ok && s.startup == nil {
			s.injectSet(p.Name, base) // a login's value may be half of one
		}
		s.injectSet(p.Name, p.Value)
	}
	for _, name := range reset {
		s.parseOver(resetName, "reset "+quoteSetting(name), nil)
		s.shared.toServer = wire.AppendBindText(s.shared.toServer, resetName)
		s.injectExecute(0)
	}
	if role, ok := want.value("role"); ok && role != "none" {
		s.injectSet("role", role)
	}
	s.run(helperCommit, commitName, "commit", flagVars)
}

func (s *session) injectSet(name, value string) {
	s.run(helperSet, setName, setText, 0, name, value)
}

// injectSetAside sets a setting behind a message of the client's. It leaves the
// unnamed portal alone, and takes no snapshot: the transaction may have yet to
// choose its isolation.
func (s *session) injectSetAside(name, value string, local bool) {
	value = s.vars.escaped(value)
	set, isLocal := "set ", "false"
	if local {
		set, isLocal = "set local ", "true"
	}
	text := set + quoteSetting(name) + " to E'" + value + "'"
	if listSettings[name] {
		text = "select pg_catalog.set_config('" + name + "', E'" + value + "', " + isLocal + ")"
	}
	s.parseOver(againName, text, nil)
	s.injectAside(againName, 0)
}

// injectAside executes a statement of ours that takes no parameters, and leaves
// the client's unnamed portal alone.
func (s *session) injectAside(name string, flags uint16) {
	sh := s.shared
	rest := make([]byte, 6)
	sh.toServer = append(wire.AppendBindHeader(sh.toServer, []byte(asideName), name, len(rest)), rest...)
	s.forward(entry{kind: entrySwallow, typ: wire.Bind})
	sh.toServer = wire.AppendMessage(sh.toServer, wire.Execute, append([]byte(asideName), 0, 0, 0, 0, 0))
	s.forward(entry{kind: entrySwallow, typ: wire.Execute, flags: flags})
	sh.toServer = wire.AppendTarget(sh.toServer, wire.Close, wire.KindPortal, asideName)
	s.forward(entry{kind: entrySwallow, typ: wire.Close})
}

// listSettings are those whose value is a list of names, each of which SET
// would quote.
var listSettings = map[string]bool{
	"search_path": true, "temp_tablespaces": true, "session_preload_libraries": true, "local_preload_libraries": true,
	"createrole_self_grant": true,
}

// tuning remembers settings that were injected until ReadyForQuery tells what
// became of them.
type tuning struct {
	from, to *vars // as the server last reported them, and as they shall be
	done     bool
}

// tuned ends a tuning. PostgreSQL reports a setting before ReadyForQuery, and
// only if it is not what it reported last: one that was injected and is not
// reported has been put back to its old value by the client's own statement.
// It reports whether there was one; the client has then been told.
func (s *session) tuned(restores []restored) (any bool) {
	t, table := s.tuning, &s.shared.vars
	s.tuning = nil
	if !t.done {
		return false
	}
	for _, p := range t.to.list {
		old, reported := s.backend.base.value(p.Name)
		if reported {
			old, reported = t.from.value(p.Name)
		}
		if !reported || old == p.Value || fixedVars[p.Name] {
			continue
		}
		s.backend.vars = table.with(s.backend.vars, p.Name, old)
		if _, restored := resetTo(restores, p.Name); restored {
			continue
		}
		if now, _ := s.vars.value(p.Name); now != old && !s.ourVar(p.Name) {
			s.vars = table.with(s.vars, p.Name, old)
			if !s.checking {
				s.shared.toClient = wire.AppendParameterStatus(s.shared.toClient, p.Name, old)
				any = true
			}
		}
	}
	return any
}

// run has one of our own statements executed, and parsed unless it is.
func (s *session) run(bit uint64, name, text string, flags uint16, params ...string) {
	s.helper(bit, name, text)
	s.shared.toServer = wire.AppendBindText(s.shared.toServer, name, params...)
	s.injectExecute(flags)
}

// parseOver has a text parsed under a name of ours that stood for another.
func (s *session) parseOver(name, text string, oids []byte) {
	s.closeFirst(name)
	s.shared.toServer = wire.AppendParse(s.shared.toServer, name, text, oids)
	s.forward(entry{kind: entrySwallow, typ: wire.Parse, more: &detail{}})
}

// closeFirst frees a name of ours.
func (s *session) closeFirst(name string) {
	s.shared.toServer = wire.AppendTarget(s.shared.toServer, wire.Close, wire.KindStatement, name)
	s.forward(entry{kind: entrySwallow, typ: wire.Close})
}

// injectSync adds a Sync of ours, and its entry.
func (s *session) injectSync(kind entryKind, flags uint16) {
	s.shared.toServer = wire.AppendEmpty(s.shared.toServer, wire.Sync)
	s.forward(entry{kind: kind, typ: wire.Sync, flags: flags})
}

// injectExecute adds the Execute behind a Bind of ours, and both entries.
func (s *session) injectExecute(flags uint16) {
	s.forward(entry{kind: entrySwallow, typ: wire.Bind})
	s.shared.toServer = wire.AppendExecute(s.shared.toServer)
	s.forward(entry{kind: entrySwallow, typ: wire.Execute, flags: flags})
}

// helper has one of our own statements parsed, unless it is.
func (s *session) helper(bit uint64, name, text string) {
	if s.backend.helpers&bit != 0 {
		return
	}
	s.backend.helpers |= bit
	s.shared.toServer = wire.AppendParse(s.shared.toServer, name, text, nil)
	s.forward(entry{kind: entrySwallow, typ: wire.Parse, more: &detail{helper: bit}})
}

// quoteSetting quotes each part of a setting's name.
func quoteSetting(name string) string {
	quoted := []byte{'"'}
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '.':
			quoted = append(quoted, `"."`...)
		case '"':
			quoted = append(quoted, `""`...)
		default:
			quoted = append(quoted, name[i])
		}
	}
	return string(append(quoted, '"'))
}

// fail has the server fail in place of the client's message, so that what
// surrounds it in the pipeline is undone and skipped as it would be, and gives
// the client e instead of the server's error.
func (s *session) fail(e *wire.Error) verb {
	s.shared.toServer = wire.AppendTarget(s.shared.toServer, wire.Describe, wire.KindStatement, noName)
	s.forward(entry{kind: entryFail, typ: wire.Describe, more: &detail{err: e}})
	return verbDrop
}

// tryVars has the server try the session's settings at login, and nothing
// else.
func (s *session) tryVars() {
	s.checking = true
	s.injectSync(entrySwallow, flagCheck)
}

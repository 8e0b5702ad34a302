package router

import "howdah/wire"

// Our own statements at a server, parsed when first needed.
const (
	helperSet    = 1 << iota // sets one setting
	helperCommit             // ends the implicit transaction in which settings were set
)

const (
	setName    = ownPrefix + "set"
	setText    = "select pg_catalog.set_config($1, $2, false)"
	commitName = ownPrefix + "commit"
	resetName  = ownPrefix + "reset"
	noName     = ownPrefix + "none" // never exists
)

// injectVars brings the settings in force at the server to the session's, with
// extended messages and no Sync, in front of the client's message: should one
// fail, the server skips the client's message too. The COMMIT makes the
// settings outlive a rollback of what follows; its warning, that there is no
// transaction, is swallowed.
func (s *session) injectVars() {
	b := s.backend
	set, reset := difference(b.vars, s.vars, b.base)
	if len(set)+len(reset) == 0 {
		b.vars = s.vars
		return
	}
	for _, p := range set {
		s.helper(helperSet, setName, setText)
		s.shared.toServer = wire.AppendBindText(s.shared.toServer, setName, p.Name, p.Value)
		s.injectExecute(0)
	}
	for _, name := range reset {
		s.shared.toServer = wire.AppendTarget(s.shared.toServer, wire.Close, wire.KindStatement, resetName)
		s.forward(entry{kind: entrySwallow, typ: wire.Close})
		s.shared.toServer = wire.AppendParse(s.shared.toServer, resetName, "reset "+quoteSetting(name), nil)
		s.forward(entry{kind: entrySwallow, typ: wire.Parse, more: &detail{}})
		s.shared.toServer = wire.AppendBindText(s.shared.toServer, resetName)
		s.injectExecute(0)
	}
	s.helper(helperCommit, commitName, "commit")
	s.shared.toServer = wire.AppendBindText(s.shared.toServer, commitName)
	s.injectExecute(flagVars)
}

// injectExecute adds the Execute behind a Bind of ours, and both entries.
func (s *session) injectExecute(flags uint8) {
	s.forward(entry{kind: entrySwallow, typ: wire.Bind})
	s.shared.toServer = wire.AppendExecute(s.shared.toServer)
	s.forward(entry{kind: entrySwallow, typ: wire.Execute, flags: flags})
}

// helper has one of our own statements parsed, unless it is.
func (s *session) helper(bit uint8, name, text string) {
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
	if s.status == wire.TxFailed && e.Code == wire.CodeDuplicateStatement {
		e = &wire.Error{
			Severity: "ERROR", Code: "25P02",
			Message: "current transaction is aborted, commands ignored until end of transaction block",
		}
	}
	s.shared.toServer = wire.AppendTarget(s.shared.toServer, wire.Describe, wire.KindStatement, noName)
	s.forward(entry{kind: entryFail, typ: wire.Describe, more: &detail{err: wire.AppendError(nil, e)}})
	return verbDrop
}

// tryVars has the server try the session's settings at login, and nothing
// else.
func (s *session) tryVars() {
	s.checking = true
	s.shared.toServer = wire.AppendEmpty(s.shared.toServer, wire.Sync)
	s.forward(entry{kind: entrySwallow, typ: wire.Sync, flags: flagCheck})
}

package router

import (
	"bytes"
	"strings"

	"howdah/tenants"
	"howdah/wire"
)

// pin is a set of reasons for which a server stays with a session between
// transactions.
type pin uint16

// The first ones are bits of what pinsText finds; of the lasting ones there is
// no telling when they end.
const (
	pinAdvisory pin = 1 << iota
	pinTemporary
	pinCursor
	pinPrepared
	pinListen
	pinSlot
	pinSequence
	pinAuthorization
	pinLarge
	pinSeed
	pinSetting
	pinOther
	pinUnknown

	pinFound   = pinAdvisory | pinTemporary | pinCursor | pinPrepared | pinListen | pinSlot
	pinLasting = pinAuthorization | pinSeed | pinOther | pinUnknown // not ended by DISCARD ALL
)

var pinNames = []string{
	"advisory lock", "temporary object", "cursor with hold", "prepared by SQL", "listen", "temporary replication slot",
	"sequence value", "session authorization", "large statement", "setseed", "setting with a computed name",
	"state of a library or extension", "state unknown",
}

// names lists the reasons.
func (p pin) names() (list []string) {
	for i, name := range pinNames {
		if p&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return list
}

// leavesAny is what no look at the server can find.
const leavesAny = leavesSeed | leavesOther | leavesSetting

// pinsText finds what outlives a transaction at a server.
const pinsText = `select exists(select from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid())::int
  + 2 * exists(select from pg_catalog.pg_depend where refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
    and refobjid = pg_catalog.pg_my_temp_schema() and refobjid <> 0)::int
  + 4 * exists(select from pg_catalog.pg_cursors where is_holdable)::int
  + 8 * exists(select from pg_catalog.pg_prepared_statements where from_sql)::int
  + 16 * exists(select from pg_catalog.pg_listening_channels())::int
  + 32 * exists(select from pg_catalog.pg_replication_slots where temporary and active_pid = pg_catalog.pg_backend_pid())::int`

// Texts that read settings back: one by name, with a word on whether it was
// set in the session, which custom ones always were, and all that were set,
// which are without custom ones.
const (
	settingText = "select pg_catalog.current_setting($1, true), " +
		"coalesce((select source from pg_catalog.pg_settings where lower(name) = lower($1)), 'session')"
	settingsText = "select name, setting from pg_catalog.pg_settings where source = 'session' and name not like 'transaction%'"
)

const (
	pinsName     = ownPrefix + "pins"
	readName     = ownPrefix + "setting"
	settingsName = ownPrefix + "settings"
)

// maxTouched bounds the settings that are read back one by one.
const maxTouched = 64

// anyName stands for names that PREPARE gave where we could not read them. No name
// has such a byte.
const anyName = "\x00"

// note remembers what a text that is sent to the server may leave there.
func (s *session) note(r *reading) {
	if d := doubtsAbout(r.settings); d != 0 {
		s.setting |= d
		s.local |= d & doubtNames // whether or not it is SET LOCAL
		if s.unreported(r.settings) {
			s.local |= d
		}
	}
	if r.effects&maySetAny != 0 {
		s.setting |= doubtLiterals | doubtNames
	}
	s.done |= r.effects &^ defines
	if strings.Contains(s.searchPath(), "pg_temp") || r.effects&defines != 0 && s.doubts()&doubtNames != 0 {
		s.done |= mayKeep // what has no schema may be a temporary object
	}
	s.mayWrite(r)
	s.defining = s.defining || r.effects&defines != 0
	s.notify = s.notify || r.effects&(mayNotify|acts) != 0
	s.sticky = s.sticky || r.effects&readsSequence != 0
	if r.effects&reloads != 0 {
		s.altered |= alteredSystem
	}
	if r.effects&prepares != 0 {
		s.raw = true
		if s.prepared == nil {
			s.prepared = map[string]bool{}
		}
		if r.command == commandPrepare {
			s.prepared[r.name] = true
		} else {
			s.prepared[anyName] = true
		}
	}
	for _, t := range r.settings {
		if t.name != allSettings {
			s.touch(t)
			continue
		}
		s.touchAll()
		s.done |= s.asked.done & maySetAny // what that has set is not known yet
	}
}

// touchAll touches whatever the session has set, but the role.
func (s *session) touchAll() {
	for _, t := range s.asked.touched {
		s.touch(t)
	}
	for _, p := range s.vars.list {
		if p.Name != "role" {
			s.touch(touch{name: p.Name, reset: true})
		}
	}
}

// touchEncoded touches what has other bytes in another encoding.
func (s *session) touchEncoded() {
	for _, p := range s.vars.list {
		if !ascii([]byte(p.Value)) {
			s.touch(touch{name: p.Name})
		}
	}
}

func (s *session) touch(t touch) {
	if t.local {
		return
	}
	if _, reported := s.base.value(t.name); reported && t.name != "session_authorization" {
		return // we are told
	}
	for i := range s.touched {
		if s.touched[i].name == t.name {
			return
		}
	}
	if len(s.touched) == maxTouched {
		s.done |= maySetAny | leavesSetting
		return
	}
	s.touched = append(s.touched, t)
}

// doubt says what about a statement's meaning may be otherwise than we know,
// because settings were changed.
type doubt uint8

const (
	doubtLiterals doubt = 1 << iota // what the settings do that count when a text is parsed
	doubtNames                      // which objects its names are
)

// doubts returns what a Parse would now find in doubt.
func (s *session) doubts() doubt {
	d := s.setting | s.local | doubtsAbout(s.touched) | doubtsAbout(s.asked.touched)
	if s.asked.done&maySetAny != 0 || s.done&maySetAny != 0 && s.status != wire.TxIdle {
		d |= doubtLiterals | doubtNames
	}
	return d
}

// literalsUndecided reports whether a setting that counts when a text is parsed
// will be told at the end of a cycle that was sent.
func (s *session) literalsUndecided() bool {
	return s.queue.cycles > 0 && s.doubts()&doubtLiterals != 0
}

// plainLiterals reports whether a text is taken apart in the same way whatever
// the settings are.
func plainLiterals(text []byte) bool {
	return bytes.IndexByte(text, '\\') < 0 && ascii(text)
}

// doubtLiterals has a text that may be other than it was read do anything.
func (s *session) doubtLiterals(r *reading, text []byte) {
	if s.doubts()&doubtLiterals == 0 || plainLiterals(text) {
		return
	}
	command := *r
	*r = reading{effects: r.effects | anything, settings: r.settings, planned: r.planned}
	if bytes.IndexByte(text, '\\') < 0 && s.vars.readable { // the one command that it is it is in every encoding
		command.effects, command.quiet = r.effects, false
		*r = command
	}
}

// unreported reports whether one of the settings is not reported: what it is in a
// transaction nobody tells us.
func (s *session) unreported(settings []touch) bool {
	for _, t := range settings {
		if _, reported := s.base.value(t.name); !reported {
			return true
		}
	}
	return false
}

func doubtsAbout(settings []touch) (d doubt) {
	for _, t := range settings {
		switch {
		case t.name == allSettings, t.name == anySetting:
			d |= doubtLiterals | doubtNames
		case parseVars[t.name]:
			d |= doubtLiterals
		case t.name == "search_path", t.name == "role", t.name == "session_authorization":
			d |= doubtNames
		}
	}
	return d
}

// unseen reports whether the server may hold state that was not looked at.
func (s *session) unseen() bool {
	return s.done&movesSequence != 0 && s.sticky || s.done&(mayKeep|maySetAny) != 0 || len(s.touched) > 0 || s.asked.done != 0
}

// settled is the end of a transaction: reasons to keep the server are noted,
// and where only a look at it can tell, it is looked at.
func (s *session) settled() {
	s.pinDone()
	s.listened(s.committed)
	s.committed = false
	if s.mode != tenants.Transaction || !s.queue.empty() || s.done == 0 && len(s.touched) == 0 {
		return
	}
	s.done = s.actsOnTaint(s.done)
	if s.backend.poisoned && s.done&holdsCursor != 0 { // a look could crash the server, which goes with the client
		s.pins, s.done, s.touched = s.pins|pinUnknown, 0, nil
	}
	const keep = mayKeep | mayFree
	switch {
	case s.backend.poisoned && s.pins&pinUnknown != 0: // for good
	case s.pins != 0 && s.done&keep != 0, s.pins == 0 && s.done&(mayKeep|maySetAny) != 0, s.pins == 0 && len(s.touched) > 0:
		s.look()
	case s.unknownTaint():
		s.askTaint()
	case s.pins == 0:
		s.done = 0
	}
}

// pinDone pins for what cannot be looked at.
func (s *session) pinDone() {
	if s.done&movesSequence != 0 && s.sticky {
		s.pins |= pinSequence
	}
	if s.done&leavesAny == 0 {
		return
	}
	if s.done&leavesSeed != 0 {
		s.pins |= pinSeed
	}
	if s.done&leavesOther != 0 {
		s.pins |= pinOther
	}
	if s.done&leavesSetting != 0 {
		s.pins |= pinSetting
	}
	s.done &^= leavesAny
}

// unpinSequence ends the pin for values of sequences. A session that asks for
// one later gets an error, or its own where the server was nobody else's since.
func (s *session) unpinSequence() {
	s.pins &^= pinSequence
	s.done &^= movesSequence
	s.settled()
}

// discarded notes that DISCARD ALL has ended all that it ends.
func (s *session) discarded() {
	s.listenTo(&reading{command: commandUnlistenAll})
	s.listened(true)
	s.pins &= pinLasting
	s.done &= leavesAny
	s.touched = nil
}

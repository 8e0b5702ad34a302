package router

import (
	"encoding/binary"
	"strconv"
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

// lookFor is what a row of a look tells.
type lookFor uint8

const (
	lookPins lookFor = iota + 1
	lookSetting
	lookSettings
	lookTaint
)

// asked is what a look that is under way is for.
type asked struct {
	done    effect
	failed  int8 // looks in a row
	taint   bool // of the database
	touched []touch
}

// maxTouched bounds the settings that are read back one by one.
const maxTouched = 64

// note remembers what a text that is sent to the server may leave there.
func (s *session) note(r *reading) {
	if r.effects&maySet != 0 {
		s.setting = true
	}
	s.done |= r.effects
	s.notify = s.notify || r.effects&(mayNotify|acts) != 0
	s.sticky = s.sticky || r.effects&readsSequence != 0
	if r.effects&reloads != 0 {
		s.altered |= alteredSystem
	}
	if r.effects&prepares != 0 {
		s.raw = true
		if r.command == commandPrepare {
			if s.prepared == nil {
				s.prepared = map[string]bool{}
			}
			s.prepared[r.name] = true
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

// restored is a setting of the login's that comes back.
type restored struct {
	wire.Parameter
	local bool // until the end of the transaction
}

// willRestore notes which of the login's settings a text resets to what they
// are at the server: they are put back to the login's right behind it.
func (s *session) willRestore(r *reading) {
	s.restoring = nil
	if r.effects&mayReset == 0 || s.startup == s.base {
		return
	}
	for _, p := range s.startup.list {
		if base, ok := s.base.value(p.Name); ok && base == p.Value || fixedVars[p.Name] {
			continue
		}
		var last touch
		for _, t := range r.settings {
			if t.name == p.Name || t.name == allSettings && p.Name != "role" {
				last = t
			}
		}
		outside := s.status == wire.TxIdle && s.queue.empty() // of any transaction
		if last.reset && (!last.local || !outside) {
			s.restoring = append(s.restoring, restored{p, last.local})
		}
	}
}

// restoreBehind puts them back behind a simple query, which is the last entry.
func (s *session) restoreBehind() {
	e := s.queue.last()
	if e.more == nil {
		e.more = &detail{}
	}
	e.more.restores = s.restoring
	s.restore()
	s.injectSync(entrySwallow, 0)
}

// restore puts them back. In a failed transaction that fails too, which nobody
// need know.
func (s *session) restore() {
	n := len(s.queue.entries)
	for _, p := range s.restoring {
		s.injectSetAside(p.Name, p.Value, p.local)
	}
	s.restoring = nil
	for i := n; i < len(s.queue.entries); i++ {
		e := &s.queue.entries[i]
		e.kind = entryFail
		if e.more == nil {
			e.more = &detail{}
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

// uncertain reports whether settings that count when a text is parsed may be
// others than we know.
func (s *session) uncertain() bool {
	return s.setting || len(s.touched) > 0 || len(s.asked.touched) > 0 || s.asked.done&maySetAny != 0
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
	if s.backend.poisoned && s.done&holdsCursor != 0 {
		s.done, s.touched = 0, nil
		return // it goes, with whatever it holds
	}
	const keep = mayKeep | mayFree
	switch {
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

// look asks the server what it holds for the session.
func (s *session) look() {
	first := len(s.queue.entries)
	if s.pins != 0 || s.done&mayKeep != 0 {
		s.ask(lookPins, helperPins, pinsName, pinsText)
	}
	s.asked.done, s.asked.touched = s.done, nil
	any := s.asked.done&maySetAny != 0
	if any && s.pins == 0 {
		s.touch(touch{name: "role"})
	}
	s.done = 0
	if s.pins == 0 {
		if any {
			s.touchAll()
		}
		s.asked.touched, s.touched = s.touched, nil
		for _, t := range s.asked.touched {
			s.ask(lookSetting, helperSetting, readName, settingText, t.name)
		}
		if any {
			s.backend.changedBy = s
			s.ask(lookSettings, helperSettings, settingsName, settingsText)
		}
	} else {
		s.done = s.asked.done & maySetAny // when it is let go
	}
	s.endLook(first)
}

// ask executes a statement whose rows a look takes.
func (s *session) ask(what lookFor, bit uint64, name, text string, params ...string) {
	s.run(bit, name, text, 0, params...)
	s.queue.last().more = &detail{look: what, name: strings.Join(params, "")}
}

// endLook ends a look that begins with the entry at first.
func (s *session) endLook(first int) {
	s.injectSync(entrySwallow, 0)
	for i := first; i < len(s.queue.entries); i++ {
		s.queue.entries[i].flags |= flagLook
	}
}

// looksAt reports whether the row that comes is for us.
func (s *session) looksAt() bool {
	return !s.queue.empty() && s.queue.first().flags&flagLook != 0
}

// lookRow takes a row of a look's.
func (s *session) lookRow(body []byte) {
	d := s.queue.first().more
	first, rest, ok := column(body[min(2, len(body)):])
	switch d.look {
	case lookPins:
		n, _ := strconv.Atoi(string(first))
		s.pins = s.pins&^pinFound | pin(n)&pinFound
	case lookTaint:
		*s.taint = taint{known: true, tainted: string(first) != "0"}
		if s.taint.tainted {
			s.done |= s.asked.done & acts
		}
	case lookSetting:
		source, _, _ := column(rest)
		s.readBack(d.name, string(first), ok && string(source) == "session")
	case lookSettings:
		if value, _, ok := column(rest); ok {
			s.readBack(settingName(string(first)), string(value), true)
		}
	}
}

// column takes one value off a DataRow; ok is false for null.
func column(b []byte) (value, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := int32(binary.BigEndian.Uint32(b))
	b = b[4:]
	if n < 0 || int(n) > len(b) {
		return nil, b, false
	}
	return b[:n], b[n:], true
}

// readBack takes a setting's value at the server for the session's; set says
// whether it is one of the session at all.
func (s *session) readBack(name, value string, set bool) {
	b, table := s.backend, &s.shared.vars
	_, had := s.vars.value(name)
	if name == "session_authorization" {
		s.pins &^= pinAuthorization
		if login, _ := b.base.value(name); login != value {
			s.pins |= pinAuthorization
		}
		return
	}
	if _, reported := s.base.value(name); reported {
		return
	}
	if !set || value == "" && !had && strings.Contains(name, ".") || !had && name == "role" && value == "none" {
		b.vars, s.vars = table.without(b.vars, name), table.without(s.vars, name)
		return
	}
	b.vars, s.vars = table.with(b.vars, name, value), table.with(s.vars, name, value)
}

// resetTo returns the login's value of a setting that has gone back to the
// server's.
func resetTo(restores []restored, name string) (own string, ok bool) {
	for _, p := range restores {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// tellRestored tells the client of the login's settings that its RESET has
// brought back, before the server has them again.
func (s *session) tellRestored(restores []restored) (any bool) {
	for _, p := range restores {
		told, _ := s.vars.value(p.Name)
		if _, reported := s.base.value(p.Name); !reported || told == p.Value {
			continue
		}
		s.vars = s.shared.vars.with(s.vars, p.Name, p.Value)
		s.shared.toClient = wire.AppendParameterStatus(s.shared.toClient, p.Name, p.Value)
		any = true
	}
	return any
}

// looked ends a look.
func (s *session) looked() {
	if s.lookErred {
		s.lookErred = false
	} else {
		s.asked = asked{}
	}
	if s.raw = s.pins&(pinPrepared|pinLarge) != 0 || s.done&prepares != 0; !s.raw {
		s.prepared = nil
	}
}

// lookFailed has what was asked asked again, a few times: a cancel request or
// a timeout of the client's hit it.
func (s *session) lookFailed() {
	s.done |= s.asked.done
	for _, t := range s.asked.touched {
		s.touch(t)
	}
	s.lookErred = true
	n := s.asked.failed + 1
	s.asked = asked{failed: n}
	if n >= 3 {
		s.pins |= pinUnknown
		s.done &^= mayKeep | mayFree | maySet | maySetAny
		s.touched = nil
	}
	if s.taint != nil && s.taint.asking {
		*s.taint = taint{known: n >= 3, tainted: n >= 3}
	}
}

// discarded notes that DISCARD ALL has ended all that it ends.
func (s *session) discarded() {
	s.listenTo(&reading{command: commandUnlistenAll})
	s.listened(true)
	s.pins &= pinLasting
	s.done &= leavesAny
	s.touched = nil
}

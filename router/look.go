package router

import (
	"encoding/binary"
	"strconv"
	"strings"
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
	if _, reported := s.base.value(name); reported || s.ourVar(name) {
		return
	}
	if !set || value == "" && !had && strings.Contains(name, ".") || !had && name == "role" && value == "none" {
		b.vars, s.vars = table.without(b.vars, name), table.without(s.vars, name)
		return
	}
	b.vars, s.vars = table.with(b.vars, name, value), table.with(s.vars, name, value)
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

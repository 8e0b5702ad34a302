package router

import (
	"bytes"
	"strings"
)

// set reads SET and RESET: which settings they may change beyond their
// transaction.
func (r *reader) set(reset bool) {
	r.step()
	if reset {
		r.effects |= mayReset
		if r.last.is("all") {
			r.touch(true, allSettings)
			if r.step(); r.over() {
				r.command = commandResetAll
			}
			return
		}
	}
	switch {
	case !reset && r.takes("local"):
		r.setLocal()
		return
	case r.last.is("constraints"), r.last.is("transaction"):
		return // forgotten with the transaction
	case r.takes("session"):
		r.takes("session") // SET SESSION SESSION AUTHORIZATION
		if r.takes("authorization") {
			r.touch(false, "session_authorization", "role")
			return
		}
		if r.last.is("characteristics") {
			r.touch(false, "default_transaction_isolation", "default_transaction_read_only", "default_transaction_deferrable")
			return
		}
	}
	first := len(r.settings)
	switch {
	case r.last.is("time"):
		r.touch(reset, "TimeZone")
		r.step()
		if r.takes("zone") && r.last.is("local") { // the same as DEFAULT
			r.effects |= mayReset
			r.settings[first].reset = true
		}
	case r.last.is("schema"):
		r.touch(reset, "search_path")
	case r.last.is("names"):
		r.touch(reset, "client_encoding")
	case r.last.is("xml"):
		r.touch(reset, "xmloption")
	default:
		r.setNamed(reset)
	}
	for ; !r.over(); r.step() {
		if !r.last.is("default") || len(r.settings) == first {
			continue
		}
		r.effects |= mayReset
		r.settings[first].reset = true
	}
}

// setLocal reads SET LOCAL, which only matters where it resets.
func (r *reader) setLocal() {
	name, ok := r.identifier()
	if r.takes("time") {
		name = "TimeZone"
	}
	for ; ok && !r.over(); r.step() {
		if r.last.is("default") {
			r.effects |= mayReset
			r.settings = append(r.settings, touch{settingName(name), true, true})
			return
		}
	}
}

// allSettings stands for those that RESET ALL resets.
const allSettings = "*"

// setNamed reads the name of a setting, which may have a prefix and a point.
func (r *reader) setNamed(reset bool) {
	name, ok := r.identifier()
	for ok && r.step().symbol('.') {
		r.step()
		var part string
		if part, ok = r.identifier(); ok {
			name += "." + part
		}
	}
	if ok {
		r.touch(reset, settingName(name))
	} else {
		r.effects |= maySet | maySetAny | leavesSetting
	}
}

// touch notes settings that the text may change.
func (r *reader) touch(reset bool, names ...string) {
	r.effects |= maySet
	for _, name := range names {
		switch name {
		case "transaction_isolation", "transaction_read_only", "transaction_deferrable":
			continue // forgotten with the transaction
		}
		if name == "seed" {
			r.effects |= leavesSeed
		}
		r.settings = append(r.settings, touch{name: name, reset: reset})
	}
}

// setComputed notes a setting whose name is computed, unless it is forgotten
// with the transaction: the last word tells.
func (r *reader) setComputed() {
	var last token
	for depth := 0; depth >= 0; {
		t := r.next()
		switch {
		case t.kind == tokenEnd || t.kind == tokenBroken:
			return
		case t.symbol('('):
			depth++
		case t.symbol(')'):
			depth--
		}
		if depth >= 0 {
			last = t
		}
	}
	if !last.is("true") {
		r.effects |= maySet | maySetAny | leavesSetting
	}
}

// setConfig reads the arguments of set_config, as far as they are literals.
func (r *reader) setConfig() {
	at := r.lexer
	defer func() { r.lexer = at }()
	if !r.next().symbol('(') {
		return // a column of that name
	}
	name := r.next()
	if name.kind != tokenString || name.text[0] != '\'' || bytes.IndexByte(name.text, '\\') >= 0 || !r.next().symbol(',') {
		r.setComputed()
		return
	}
	for depth := 0; depth >= 0; {
		t := r.next()
		switch {
		case t.kind == tokenEnd || t.kind == tokenBroken:
			return // not SQL
		case t.symbol('('):
			depth++
		case t.symbol(')'):
			depth--
		case depth == 0 && t.symbol(','):
			if r.next().is("true") && r.next().symbol(')') {
				return // forgotten with the transaction
			}
			depth = -1
		}
	}
	r.touch(false, settingName(strings.ReplaceAll(string(name.text[1:len(name.text)-1]), "''", "'")))
}

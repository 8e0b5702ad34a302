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
			r.effects |= maySet | maySetAny
			if r.step(); r.over() {
				r.command = commandResetAll
			}
			return
		}
	}
	switch {
	case !reset && r.takes("local"), r.last.is("constraints"), r.last.is("transaction"):
		return // forgotten with the transaction
	case r.takes("session"):
		if r.takes("authorization") {
			r.touch("session_authorization", "role")
			return
		}
		if r.last.is("characteristics") {
			r.touch("default_transaction_isolation", "default_transaction_read_only", "default_transaction_deferrable")
			return
		}
	}
	switch {
	case r.last.is("time"):
		r.touch("TimeZone")
	case r.last.is("schema"):
		r.touch("search_path")
	case r.last.is("names"):
		r.touch("client_encoding")
	case r.last.is("xml"):
		r.touch("xmloption")
	default:
		r.setNamed()
	}
	for !r.over() {
		if r.last.is("default") {
			r.effects |= mayReset
		}
		r.step()
	}
}

// setNamed reads the name of a setting, which may have a prefix and a point.
func (r *reader) setNamed() {
	name, ok := r.identifier()
	for ok && r.step().symbol('.') {
		r.step()
		var part string
		if part, ok = r.identifier(); ok {
			name += "." + part
		}
	}
	if ok {
		r.touch(settingName(name))
	} else {
		r.effects |= maySet | maySetAny
	}
}

// touch notes settings that the text may change.
func (r *reader) touch(names ...string) {
	r.effects |= maySet
	for _, name := range names {
		if name == "seed" {
			r.effects |= leavesSeed
		}
		r.settings = append(r.settings, name)
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
		r.effects |= maySet | maySetAny
		return
	}
	for depth := 0; depth >= 0; {
		t := r.next()
		switch {
		case t.kind == tokenEnd || t.kind == tokenBroken:
			r.effects |= maySet | maySetAny
			return
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
	r.touch(settingName(strings.ReplaceAll(string(name.text[1:len(name.text)-1]), "''", "'")))
}

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
	case r.last.is("constraints"), r.last.is("transaction"): // forgotten with the transaction
		if r.takes("transaction") && !reset {
			r.setTransaction()
		}
		return
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
		if r.step(); r.over() { // the same as DEFAULT
			r.effects |= mayReset
			r.settings[first].reset = true
		}
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

// setLocal reads SET LOCAL, whose effect ends with the transaction.
func (r *reader) setLocal() {
	name, ok := r.identifier()
	byDefault := false
	switch {
	case !ok:
		return
	case r.last.is("schema"):
		name = "search_path"
	case r.last.is("session"):
		name = "session_authorization"
	case r.takes("time"):
		name = "TimeZone"
		r.takes("zone")
		byDefault = r.last.is("local")
	case r.takes("names"):
		name = "client_encoding"
		byDefault = r.over()
	case r.takes("xml"):
		name = "xmloption"
	case r.last.is("seed"):
		r.effects |= leavesSeed // which no rollback takes back
	default:
		if name, ok = r.pointed(name); !ok {
			return
		}
	}
	local := touch{settingName(name), false, true}
	if byDefault {
		r.effects |= mayReset
		local.reset = true
	}
	for ; !r.over(); r.step() {
		if r.last.is("default") {
			r.effects |= mayReset
			local.reset = true
		}
	}
	r.settings = append(r.settings, local)
}

// allSettings stands for those that RESET ALL resets.
const allSettings = "*"

// anySetting stands for one whose name is not known.
const anySetting = "?"

// setNamed reads the name of a setting, which may have a prefix and a point.
func (r *reader) setNamed(reset bool) {
	name, ok := r.identifier()
	if ok {
		name, ok = r.pointed(name)
	}
	if ok {
		r.touch(reset, settingName(name))
	} else {
		r.effects |= maySet | maySetAny | leavesSetting
	}
}

// pointed returns a name with what stands behind it and points.
func (r *reader) pointed(name string) (whole string, ok bool) {
	for r.step().symbol('.') {
		r.step()
		part, ok := r.identifier()
		if !ok {
			return "", false
		}
		name += "." + part
	}
	return name, true
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

// maxArguments bounds how far set_config's arguments are looked for, in bytes.
const maxArguments = 4 << 10

// setConfig reads the arguments of set_config, as far as they are literals and
// near.
func (r *reader) setConfig() {
	l := r.lexer
	l.text = l.text[:min(len(l.text), l.at+maxArguments)]
	if !l.next().symbol('(') {
		return // a column of that name
	}
	name := l.next()
	literal := name.kind == tokenString && name.text[0] == '\'' && bytes.IndexByte(name.text, '\\') < 0
	var last, before, earlier token
	commas, alone := 0, false // the name's literal is the whole argument
	null := false             // so is the value's NULL, which resets
	for depth, t := 0, name; ; t = l.next() {
		if t.kind == tokenEnd || t.kind == tokenBroken || t.symbol(';') || t.is("set_config") {
			literal, last = false, token{}
			break
		}
		if t.symbol('(') {
			depth++
		} else if t.symbol(')') {
			if depth--; depth < 0 {
				if earlier.symbol(',') {
					last = before // the whole last argument
				}
				break
			}
		} else if depth == 0 && t.symbol(',') {
			literal = literal && (commas > 0 || alone)
			null = commas == 1 && before.is("null") && earlier.symbol(',')
			commas++
		}
		alone = before.text == nil
		earlier, before = before, t
	}
	switch {
	case literal && commas == 2:
		setting := settingName(strings.ReplaceAll(string(name.text[1:len(name.text)-1]), "''", "'"))
		if null {
			r.effects |= mayReset
		}
		if last.is("true") {
			if setting == "seed" {
				r.effects |= leavesSeed
			}
			r.settings = append(r.settings, touch{setting, null, true})
		} else {
			r.touch(null, setting)
		}
	case last.is("true") && commas == 2:
		r.settings = append(r.settings, touch{anySetting, false, true})
	default:
		r.effects |= maySet | maySetAny | leavesSetting
	}
}

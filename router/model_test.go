package router

import (
	"encoding/binary"
	"maps"
	"strconv"
	"strings"

	"howdah/wire"
)

// model is a PostgreSQL backend as far as the protocol shows it: prepared
// statements, portals, transactions, settings and the rule that everything up
// to Sync is skipped after an error. Its rows say which text ran, and under
// which settings it was parsed and executed. It follows tcop/postgres.c of
// version 15: what it answers waits until Sync, Flush or an error, and changed
// settings are reported only before ReadyForQuery, compared with the report
// before.
type model struct {
	prepared map[string]modelStatement
	portals  map[string]*modelPortal
	status   wire.TxStatus
	implicit bool // a transaction runs without BEGIN
	skip     bool
	copying  byte // Query or Execute while data is taken in
	doomed   bool // a deferred constraint will fail the COMMIT
	locked   bool // a session advisory lock is held

	temporary, savedTemporary bool // a temporary table exists

	vars, reported, base, saved map[string]string

	held []byte // answers not flushed yet
	out  []byte
}

type modelStatement struct {
	text  string
	style string // DateStyle when it was parsed
}

type modelPortal struct {
	modelStatement
	params []string
	at     int // rows that were fetched
	done   bool
}

var modelReported = []string{"DateStyle", "TimeZone", "application_name"}

func newModel(base map[string]string) *model {
	return &model{
		prepared: map[string]modelStatement{}, portals: map[string]*modelPortal{}, status: wire.TxIdle,
		vars: maps.Clone(base), reported: maps.Clone(base), base: base,
	}
}

func (m *model) say(typ byte, body string) {
	m.held = wire.AppendMessage(m.held, typ, []byte(body))
}

func (m *model) flush() {
	m.out = append(m.out, m.held...)
	m.held = m.held[:0]
}

// take handles whole messages from the client.
func (m *model) take(b []byte) {
	for len(b) > 0 {
		h, _, err := wire.ParseHeader(b)
		if err != nil || h.Len > len(b) {
			panic("the server was sent garbage")
		}
		m.message(h.Type, b[wire.HeaderLen:h.Len])
		b = b[h.Len:]
	}
}

func (m *model) message(typ byte, body []byte) {
	if m.copying != 0 {
		m.copyMessage(typ, body)
		return
	}
	if typ == wire.Sync {
		m.sync()
		return
	}
	if m.skip {
		return
	}
	parts := strings.Split(string(body), "\x00")
	switch typ {
	case wire.CopyData, wire.CopyDone, wire.CopyFail:
	case wire.Flush:
		m.flush()
	case wire.Query:
		m.query(parts[0])
	case wire.FunctionCall:
		m.begins()
		if m.status == wire.TxFailed {
			m.fail("25P02")
		} else {
			m.say(wire.FunctionCallResponse, "\x00\x00\x00\x00")
		}
		m.endQuery()
	default:
		m.begins()
		if code := m.extended(typ, body, parts); code != "" {
			m.fail(code)
			m.skip = true
			m.flush()
		}
	}
}

func (m *model) extended(typ byte, body []byte, parts []string) (code string) {
	switch typ {
	case wire.Parse:
		return m.parse(parts[0], parts[1])
	case wire.Bind:
		return m.bind(parts[0], parts[1], body)
	case wire.Describe:
		return m.describe(parts[0][:1], parts[0][1:])
	case wire.Execute:
		max := body[len(parts[0])+4]
		return m.execute(parts[0], int(max))
	case wire.Close:
		if body[0] == wire.KindStatement {
			delete(m.prepared, parts[0][1:])
		} else {
			delete(m.portals, parts[0][1:])
		}
		m.say(wire.CloseComplete, "")
		return ""
	}
	panic("message " + string(typ))
}

func (m *model) begins() {
	if m.status == wire.TxIdle && !m.implicit {
		m.implicit, m.saved, m.savedTemporary = true, maps.Clone(m.vars), m.temporary
	}
}

// ends ends the transaction, if one runs.
func (m *model) ends(commit bool) (code string) {
	if !m.implicit && m.status == wire.TxIdle {
		return ""
	}
	if commit && m.doomed {
		commit, code = false, "23503"
	}
	if !commit || m.status == wire.TxFailed {
		m.vars, m.temporary = m.saved, m.savedTemporary
	}
	clear(m.portals)
	m.status, m.implicit, m.doomed, m.saved = wire.TxIdle, false, false, nil
	return code
}

// fail reports an error and aborts the transaction.
func (m *model) fail(code string) {
	m.held = wire.AppendError(m.held, &wire.Error{Severity: "ERROR", Code: code, Message: "model says " + code})
	m.copying = 0
	clear(m.portals)
	if m.status == wire.TxIdle {
		m.ends(false)
	} else {
		m.status = wire.TxFailed
		m.vars, m.doomed, m.temporary = maps.Clone(m.saved), false, m.savedTemporary
	}
}

func (m *model) ready() {
	for _, name := range modelReported {
		if m.vars[name] != m.reported[name] {
			m.reported[name] = m.vars[name]
			m.say(wire.ParameterStatus, name+"\x00"+m.vars[name]+"\x00")
		}
	}
	m.say(wire.ReadyForQuery, string(m.status))
	m.flush()
}

func (m *model) sync() {
	m.skip = false
	if m.status == wire.TxIdle && m.implicit {
		if code := m.ends(true); code != "" {
			m.fail(code)
		}
	}
	m.ready()
}

func (m *model) query(text string) {
	delete(m.prepared, "")
	m.begins()
	if strings.TrimSpace(text) == "" {
		m.say(wire.EmptyQueryResponse, "")
		m.endQuery()
		return
	}
	for _, part := range strings.Split(text, ";") {
		part = strings.TrimSpace(part)
		m.begins()
		if m.aborted(part) {
			m.fail("25P02")
			break
		}
		if part == "bad" {
			m.fail("42601")
			break
		}
		p := &modelPortal{modelStatement: modelStatement{part, m.vars["DateStyle"]}}
		if returnsRows(part) {
			m.say(wire.RowDescription, "\x00\x00")
		}
		if code := m.run(p, 0, wire.Query); code != "" {
			m.fail(code)
			break
		}
		if m.copying != 0 {
			return // the rest comes with its end; it must be the last
		}
	}
	m.endQuery()
}

func (m *model) endQuery() {
	if m.status == wire.TxIdle {
		if code := m.ends(true); code != "" {
			m.fail(code)
		}
	}
	m.ready()
}

func returnsRows(text string) bool { return strings.HasPrefix(text, "select") }

// aborted reports whether the failed transaction refuses text.
func (m *model) aborted(text string) bool {
	return m.status == wire.TxFailed && text != "commit" && text != "rollback"
}

func (m *model) parse(name, text string) string {
	if name == "" {
		delete(m.prepared, "")
	}
	if text == "bad" {
		return "42601"
	}
	if text != "" && m.aborted(text) {
		return "25P02"
	}
	if _, taken := m.prepared[name]; taken {
		return wire.CodeDuplicateStatement
	}
	m.prepared[name] = modelStatement{text, m.vars["DateStyle"]}
	m.say(wire.ParseComplete, "")
	return ""
}

func (m *model) bind(portal, name string, body []byte) string {
	st, ok := m.prepared[name]
	if !ok {
		return wire.CodeInvalidStatementName
	}
	if m.aborted(st.text) {
		return "25P02"
	}
	if portal != "" && m.portals[portal] != nil {
		return "42P03"
	}
	parsed, _ := wire.ParseBind(body)
	m.portals[portal] = &modelPortal{modelStatement: st, params: bindParams(parsed.Rest)}
	m.say(wire.BindComplete, "")
	return ""
}

func (m *model) describe(kind, name string) string {
	st, ok := m.prepared[name]
	if kind == "P" {
		p := m.portals[name]
		if p == nil {
			return "34000"
		}
		st = p.modelStatement
	} else if !ok {
		return wire.CodeInvalidStatementName
	}
	if m.aborted(st.text) && returnsRows(st.text) {
		return "25P02"
	}
	if kind == "S" {
		m.say(wire.ParameterDescription, "\x00\x00")
	}
	if returnsRows(st.text) {
		m.say(wire.RowDescription, "\x00\x00")
	} else {
		m.say(wire.NoData, "")
	}
	return ""
}

func (m *model) execute(name string, max int) string {
	p := m.portals[name]
	if p == nil {
		return "34000"
	}
	if m.aborted(p.text) {
		return "25P02"
	}
	code := m.run(p, max, wire.Execute)
	if code != "" || m.copying != 0 {
		return code
	}
	switch word, _, _ := strings.Cut(p.text, " "); word {
	case "begin":
		m.implicit = false
	case "commit", "rollback":
		clear(m.portals)
	}
	return ""
}

// run executes one statement and says its result.
func (m *model) run(p *modelPortal, max int, how byte) (code string) {
	if p.done && !returnsRows(p.text) {
		return "55000"
	}
	p.done = true
	word, rest, _ := strings.Cut(p.text, " ")
	switch word {
	case "":
		m.say(wire.EmptyQueryResponse, "")
		return ""
	case "select":
		return m.rows(p, rest, max)
	case "fail":
		return "22012"
	case "defer":
		m.doomed = true
	case "notice":
		m.held = wire.AppendNotice(m.held, &wire.Error{Severity: "WARNING", Code: "01000", Message: "model"})
	case "begin", "commit", "rollback":
		return m.transaction(word)
	case "create", "drop":
		m.temporary = word == "create"
	case "set", "reset":
		rest = strings.TrimSuffix(strings.Replace(rest, " to E'", "=", 1), "'")
		name, value, _ := strings.Cut(rest, "=")
		m.set(word, strings.ReplaceAll(name, `"`, ""), value)
	case "discard", "deallocate":
		return m.discard(strings.ToUpper(p.text), how)
	case "copy":
		m.copy(rest, how)
		return ""
	default:
		panic("statement " + p.text)
	}
	m.complete(strings.ToUpper(word))
	return ""
}

func (m *model) complete(tag string) { m.say(wire.CommandComplete, tag+"\x00") }

func (m *model) transaction(word string) (code string) {
	if word == "begin" {
		if m.status == wire.TxIdle {
			m.status, m.implicit = wire.TxOpen, false
		} else {
			m.held = wire.AppendNotice(m.held, &wire.Error{Severity: "WARNING", Code: "25001", Message: "model"})
		}
		m.complete("BEGIN")
		return ""
	}
	if m.status == wire.TxIdle {
		m.held = wire.AppendNotice(m.held, &wire.Error{Severity: "WARNING", Code: "25P01", Message: "model"})
	}
	tag := strings.ToUpper(word)
	if m.status == wire.TxFailed {
		tag = "ROLLBACK"
	}
	if code := m.ends(word == "commit"); code != "" {
		return code
	}
	m.complete(tag)
	return ""
}

func (m *model) set(word, name, value string) {
	if word == "reset" {
		value = m.base[name]
	}
	if value == "" {
		delete(m.vars, name)
		return
	}
	m.vars[name] = value
}

func (m *model) discard(tag string, how byte) (code string) {
	if tag == "DISCARD ALL" {
		if m.status != wire.TxIdle {
			return "25001"
		}
		m.vars = maps.Clone(m.base)
		m.locked, m.temporary, m.savedTemporary = false, false, false
		if m.saved != nil {
			m.saved = maps.Clone(m.base)
		}
		clear(m.portals)
	}
	if tag == "DISCARD SEQUENCES" {
		m.complete(tag)
		return ""
	}
	maps.DeleteFunc(m.prepared, func(name string, _ modelStatement) bool { return name != "" })
	m.complete(tag)
	return ""
}

// rows says the rows of a select: how many its text asks for, one without.
func (m *model) rows(p *modelPortal, text string, max int) (code string) {
	if strings.HasPrefix(text, "pg_catalog.set_config") {
		if p.params[1] == "refused" {
			return "22023"
		}
		m.set("set", p.params[0], p.params[1])
	}
	if m.lookedAt(p, text) {
		return ""
	}
	switch text {
	case "pg_advisory_lock(1)":
		m.locked = true
	case "pg_advisory_unlock(1)":
		m.locked = false
	}
	n := 1
	if _, count, ok := strings.Cut(text, "rows "); ok {
		n, _ = strconv.Atoi(count)
	}
	start := p.at
	for ; p.at < n && (max == 0 || p.at < start+max); p.at++ {
		m.say(wire.DataRow, p.text+"|"+strconv.Itoa(p.at)+"|"+p.style+"|"+m.vars["DateStyle"]+"|"+
			m.vars["TimeZone"]+"|"+m.vars["application_name"]+"|"+m.vars["my.own"])
	}
	if max > 0 && p.at == start+max {
		m.say(wire.PortalSuspended, "")
		return ""
	}
	m.complete("SELECT " + strconv.Itoa(p.at-start))
	return ""
}

// lookedAt answers what Howdah asks of a server.
func (m *model) lookedAt(p *modelPortal, text string) bool {
	var value string
	switch {
	case p.text == pinsText:
		n := 0
		if m.locked {
			n = 1
		}
		if m.temporary {
			n += 2
		}
		value = strconv.Itoa(n)
	case p.text == settingText:
		value = m.vars[p.params[0]]
		m.say(wire.DataRow, "\x00\x02"+string(binary.BigEndian.AppendUint32(nil, uint32(len(value))))+value+"\x00\x00\x00\x07session")
		m.complete("SELECT 1")
		return true
	default:
		return false
	}
	m.say(wire.DataRow, "\x00\x01"+string(binary.BigEndian.AppendUint32(nil, uint32(len(value))))+value)
	m.complete("SELECT 1")
	return true
}

func (m *model) copy(way string, how byte) {
	if way == "out" {
		m.say(wire.CopyOutResponse, "\x00\x00\x00")
		m.say(wire.CopyData, "1")
		m.say(wire.CopyDone, "")
		m.complete("COPY 1")
		return
	}
	m.say(wire.CopyInResponse, "\x00\x00\x00")
	m.flush()
	m.copying = how
}

func (m *model) copyMessage(typ byte, body []byte) {
	switch typ {
	case wire.Sync, wire.Flush:
		return
	case wire.CopyData:
		if string(body) == "bad" {
			m.failCopy("22P02")
		}
	case wire.CopyDone:
		how := m.copying
		m.copying = 0
		m.complete("COPY 1")
		if how == wire.Query {
			m.endQuery()
		}
	case wire.CopyFail:
		m.failCopy("57014")
	default:
		m.failCopy("08P01")
	}
}

// failCopy is also what a cancel request does to a server that takes data in.
func (m *model) failCopy(code string) {
	how := m.copying
	m.fail(code)
	if how == wire.Query {
		m.endQuery()
		return
	}
	m.skip = true
	m.flush()
}

// quiet reports whether the server has nothing left to do or to say.
func (m *model) quiet() bool {
	return m.status == wire.TxIdle && !m.implicit && !m.skip && m.copying == 0 && len(m.held) == 0 && len(m.out) == 0
}

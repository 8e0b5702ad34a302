package router

import (
	"bytes"
	"fmt"
	"strings"

	"howdah/wire"
)

// ownPrefix begins the names of our statements at servers. A client's own
// names never reach a server but when they are unknown, and then they must not
// hit one of ours.
const ownPrefix = "_howdah_"

// ours reports whether a name that the client has given to nothing could be one
// of ours at a server.
func ours(name string) bool { return strings.HasPrefix(name, ownPrefix) }

// clientParse gives a statement to the server unless it has it already.
func (s *session) clientParse(h wire.Header, b []byte) verb {
	if len(b) < h.Len {
		if !s.held {
			return verbAcquire
		}
		return s.parseHuge(h)
	}
	m, err := wire.ParseParse(b[wire.HeaderLen:])
	if !s.held {
		if err == nil && s.parseHere(m) {
			return verbDrop
		}
		return verbAcquire
	}
	if err != nil {
		s.forward(entry{typ: wire.Parse, more: &detail{}})
		return verbForward // PostgreSQL will say what is wrong with it
	}
	if s.literalsUndecided() {
		return verbStall
	}
	s.shared.counts.clientParses++
	st := s.shared.statements.take(m.Text, m.ParamOIDs, s.vars, s.generation(), s.doubts() == 0 && !s.defining)
	if s.doubts()&doubtLiterals != 0 {
		s.doubtLiterals(&st.reading, m.Text)
		st.refs++
		s.undecided = append(s.undecided, st)
	}
	if len(m.Name) == 0 {
		s.shared.counts.serverParses++
		s.forward(entry{typ: wire.Parse, stmt: s.unnamed, flags: commitFlag(st) | s.hereFlag()})
		s.unnamed, s.hereNow, s.hereAt = st, true, s.syncs
		return verbForward
	}
	if s.changes > 0 {
		s.shared.statements.drop(st)
		return verbStall // what the name means is not decided
	}
	name, tried := string(cutName(m.Name)), false
	if (s.prepared[name] || s.prepared[anyName]) && s.named[name] == nil {
		if s.queue.cycles > 0 {
			s.shared.statements.drop(st)
			return verbStall // whether PREPARE gave the name is not decided
		}
		tried = s.tryName(name, m)
	}
	if _, taken := s.named[name]; taken {
		s.shared.statements.drop(st)
		s.parseOver(againName, string(m.Text), m.ParamOIDs) // PostgreSQL looks at the text first
		s.queue.last().flags |= flagMeant
		return s.fail(alreadyExists(string(m.Name)))
	}
	if s.most > 0 && len(s.named) >= int(s.most) || int(s.text)+len(st.key.text) > maxNamedText {
		s.shared.statements.drop(st)
		return s.fail(s.tooMany())
	}
	return s.parseNamed(name, st, tried)
}

func alreadyExists(name string) *wire.Error {
	return &wire.Error{
		Severity: "ERROR", Code: wire.CodeDuplicateStatement,
		Message: "prepared statement \"" + name + "\" already exists", Routine: "StorePreparedStatement",
	}
}

// tryName has the server refuse a Parse of a name that PREPARE gave. What it does
// not refuse is ours to keep. It reports whether the client hears then and there
// what the server has to say of the text.
func (s *session) tryName(name string, m wire.ParseMessage) bool {
	if ours(name) {
		return false
	}
	s.shared.toServer = wire.AppendParse(s.shared.toServer, name, string(m.Text), m.ParamOIDs)
	s.forward(entry{kind: entrySwallow, typ: wire.Parse, flags: flagMeant, more: &detail{}})
	s.shared.toServer = wire.AppendTarget(s.shared.toServer, wire.Close, wire.KindStatement, name)
	s.forward(entry{kind: entrySwallow, typ: wire.Close, more: &detail{frees: name}})
	s.piped = true // what fails is the client's Parse
	return true
}

// maxNamedText bounds the texts of one client's prepared statements, in bytes.
const maxNamedText = 64 << 20

func (s *session) tooMany() *wire.Error {
	return &wire.Error{
		Severity: "ERROR", Code: wire.CodeLimitExceeded,
		Message: fmt.Sprintf("max_client_prepared_statements: this client has %d prepared statements of %d bytes", len(s.named), s.text),
		Hint:    fmt.Sprintf("Close those that are no longer used, or raise max_client_prepared_statements (%d) for this tenant; their texts may have %d bytes together.", s.most, maxNamedText),
	}
}

// parseHuge passes on a Parse that is too large to be kept, which only its own
// server can then know.
func (s *session) parseHuge(h wire.Header) verb {
	if s.over != nil {
		return s.fail(s.over.refusal()) // who knows what it is
	}
	s.pins, s.raw = s.pins|pinLarge, true
	s.shared.statements.drop(s.unnamed)
	s.unnamed, s.hereNow, s.hereAt = nil, true, s.syncs
	s.forward(entry{typ: wire.Parse, more: &detail{}, flags: flagCommit})
	return verbForward
}

// parseNamed gives the client's name to a statement. quiet says that the client
// has heard what the server has to say of the text.
func (s *session) parseNamed(name string, st *statement, quiet bool) verb {
	s.name(name, st)
	d := &detail{name: name, named: true, quiet: quiet}
	if s.backend.find(st) != nil {
		if s.status != wire.TxFailed && s.queue.cycles == 0 && !s.halted && st.shape.path == s.searchPath() && !st.noticed {
			d.reply = parseComplete
			s.answer(entry{typ: wire.Parse, more: d})
			return verbDrop
		}
		s.parseAgain(st, d) // in a failed transaction PostgreSQL refuses most
		return verbDrop
	}
	s.evict()
	d.ready = s.backend.add(st)
	d.ready.syncs = s.syncs
	s.shared.counts.serverParses++
	s.shared.toServer = wire.AppendParse(s.shared.toServer, d.ready.name, st.key.text, []byte(st.key.oids))
	s.forward(entry{typ: wire.Parse, more: d, flags: databaseFlag(st)})
	s.learnShape(d.ready)
	return verbDrop // the rewritten one is in toServer whole
}

// name has the client's name stand for st.
func (s *session) name(name string, st *statement) {
	if s.named == nil {
		s.named = map[string]*statement{}
	}
	s.named[name] = st
	s.text += int32(len(st.key.text))
}

// unname forgets what the client's name stands for.
func (s *session) unname(name string) {
	if st := s.named[name]; st != nil {
		s.text -= int32(len(st.key.text))
		delete(s.named, name)
	}
}

// parseAgain has the server judge a Parse that it needs no more, under a name
// for nothing else.
func (s *session) parseAgain(st *statement, d *detail) {
	s.closeFirst(againName)
	s.shared.toServer = wire.AppendParse(s.shared.toServer, againName, st.key.text, []byte(st.key.oids))
	s.forward(entry{typ: wire.Parse, more: d})
}

var (
	parseComplete  = wire.AppendEmpty(nil, wire.ParseComplete)
	describedQuiet = wire.AppendEmpty(wire.AppendMessage(nil, wire.ParameterDescription, []byte{0, 0}), wire.NoData)
	bindComplete   = wire.AppendEmpty(nil, wire.BindComplete)
	closeComplete  = wire.AppendEmpty(nil, wire.CloseComplete)
)

// answer queues what we answer ourselves, or answers it at once when nothing
// is outstanding.
func (s *session) answer(e entry) {
	if s.queue.empty() {
		s.shared.toClient = append(s.shared.toClient, e.more.reply...)
		s.settle(&e)
		return
	}
	e.kind = entryLocal
	s.queue.push(e)
}

func (s *session) clientBind(h wire.Header, b []byte) verb {
	if !s.held {
		if len(b) == h.Len && s.bindHere(b) {
			return verbDrop
		}
		return verbAcquire
	}
	m, err := wire.ParseBind(b[wire.HeaderLen:])
	if err != nil {
		if len(b) < h.Len {
			return s.refuse(wire.Fatal(wire.CodeProgramLimit,
				"names in Bind are longer than 32 kB together", "Use shorter portal and statement names."))
		}
		s.forward(entry{typ: wire.Bind})
		return verbForward
	}
	if s.meaningOpen(m.Statement) {
		return verbStall
	}
	if s.over != nil && s.overreachesBound(s.meant(m.Statement)) {
		return s.fail(s.over.refusal())
	}
	if st := s.meant(m.Statement); st != nil && s.listens != nil && s.status == wire.TxOpen && s.subscribes(&st.reading) {
		return verbSubscribe
	}
	if st := s.meant(m.Statement); st != nil && st.command == commandExecute && s.named[st.name] == nil && ours(st.name) {
		return s.fail(noStatement([]byte(st.name)))
	}
	if st := s.meant(m.Statement); st != nil && st.command == commandDeallocate && (s.named[st.name] != nil || !s.raw || ours(st.name)) {
		return s.bindDeallocate(h, b, m, st)
	} else if st != nil && (st.command == commandExecute || st.command == commandPrepare) && s.named[st.name] != nil {
		return s.bindExecute(h, b, m, st)
	}
	if st := s.meant(m.Statement); st != nil && len(st.databases) > 0 {
		if e := s.barred(&st.reading); e != nil {
			return s.fail(e)
		}
	}
	name, v, ok := s.place(m.Statement)
	if !ok {
		return v
	}
	if st := s.meant(m.Statement); st != nil && !s.clearSequences(&st.reading) {
		return verbStall
	}
	if st := s.meant(m.Statement); st != nil && st != s.unnamed && s.unnamed != nil && s.status != wire.TxFailed && doubtsAbout(st.settings)&doubtNames != 0 {
		if _, v, ok := s.placeUnnamed(); !ok { // while its names mean what they did
			return v
		}
	}
	s.shared.counts.binds++
	e := entry{typ: wire.Bind}
	var p *portal
	if st := s.meant(m.Statement); st != nil {
		e.flags = commitFlag(st)
		s.mayDo(&st.reading)
		p = portalOf(&st.reading, nil)
	} else {
		s.writing = true // a text that is not known
	}
	e.more = s.bound(m.Portal, p)
	s.forward(e)
	if len(m.Statement) == 0 {
		return verbForward
	}
	s.shared.used = len(b) - len(m.Rest)
	s.shared.toServer = wire.AppendBindHeader(s.shared.toServer, m.Portal, name, h.Len-s.shared.used)
	return verbRewrite
}

func (s *session) clientExecute(h wire.Header, b []byte) verb {
	if s.over != nil && s.ended {
		return s.fail(s.over.refusal())
	}
	e := entry{typ: wire.Execute}
	var resets []restored
	if len(s.portals) > 0 && len(b) == h.Len {
		name, _, _ := bytes.Cut(b[wire.HeaderLen:], []byte{0})
		if p := s.portals[string(cutName(name))]; p != nil && p.deallocates != "" {
			return s.executeDeallocate(name, p)
		} else if p != nil {
			if p.executes != "" {
				if s.changes > 0 {
					return verbStall // what the name means is not decided
				}
				if now := s.named[p.executes]; (now == nil || !now.same(p.meant)) && (s.status != wire.TxFailed || s.piped) {
					return s.fail(noStatement([]byte(p.executes))) // PostgreSQL looks for the name now, and only now
				}
				ran := *p
				ran.executes, ran.meant = "", nil
				e.more = s.bound(name, &ran)
			}
			for _, r := range p.does { // it may have been bound in front of another Sync
				if r == nil {
					break
				}
				if r.command == commandPrepare && s.changes > 0 {
					return verbStall // whether the name is free is not decided
				}
				if r.command == commandPrepare && s.named[r.name] != nil && (s.status != wire.TxFailed || s.piped) {
					return s.fail(alreadyExists(r.name)) // it was free when the portal was bound
				}
				s.mayDo(r)
				s.does(&e, r)
				resets = append(resets, s.resets(r, false)...)
				if r.command == commandDeallocate && s.prepared[r.name] {
					e.detailed().frees = r.name
				}
				if len(r.unlisten) > 0 && s.listens != nil {
					e.detailed().unlisten = r.unlisten
				}
			}
		}
	}
	if s.committing {
		e.flags = flagCommit
	}
	s.ended = s.ended || s.ends
	s.halted = s.halted || s.done&acts != 0 && mayStop(h, b)
	s.forward(e)
	if len(resets) > 0 {
		s.shared.toServer = append(s.shared.toServer, b...)
		s.restore(resets)
		return verbDrop
	}
	return verbForward
}

// mayStop reports whether an Execute may leave its portal behind some of the rows:
// whether it has a limit.
func mayStop(h wire.Header, b []byte) bool {
	return len(b) < h.Len || h.Len < wire.HeaderLen+5 || !bytes.HasSuffix(b[:h.Len], []byte{0, 0, 0, 0})
}

// mayDo notes what a portal does that is bound or executed.
func (s *session) mayDo(r *reading) {
	s.note(r)
	s.committing = s.committing || r.effects&mayCommit != 0
	s.ends = s.ends || r.effects&(mayCommit|rollsBack|endsItself) != 0
	s.forgets = s.forgets || r.effects&mayForget != 0
}

// meant returns the statement that the client calls name.
func (s *session) meant(name []byte) *statement {
	if len(name) == 0 {
		return s.unnamed
	}
	return s.named[string(cutName(name))]
}

// meaningOpen reports whether what the client calls name depends on messages in
// front of an earlier Sync: an error there would skip them.
func (s *session) meaningOpen(name []byte) bool {
	if len(name) > 0 {
		return s.changes > 0
	}
	return s.queue.cycles > 0 && (s.unnamed == nil || s.hereNow && s.hereAt != s.syncs)
}

// cutName returns what PostgreSQL takes for the name: it knows statements and
// portals by so many bytes.
func cutName(name []byte) []byte { return name[:min(len(name), maxName)] }

// hereFlag marks a message that replaces the unnamed statement, should it be
// skipped.
func (s *session) hereFlag() uint16 {
	if s.hereNow {
		return flagHere
	}
	return 0
}

func commitFlag(st *statement) uint16 {
	if st.effects&mayCommit != 0 {
		return flagCommit
	}
	return databaseFlag(st)
}

func (s *session) clientDescribe(h wire.Header, b []byte) verb {
	kind, name, err := target(h, b)
	if !s.held {
		if err == nil && s.describeHere(kind, name) {
			return verbDrop
		}
		return verbAcquire
	}
	if err != nil || kind == wire.KindPortal {
		s.forward(entry{typ: wire.Describe, flags: s.portalFlag(name)})
		return verbForward
	}
	if st := s.meant(name); st != nil && st.command == commandExecute && s.named[st.name] != nil {
		return s.describeExecute(st)
	}
	if st := s.meant(name); st != nil && s.knows(st, name) {
		s.answer(entry{typ: wire.Describe, more: &detail{reply: st.shape.told}})
		return verbDrop // it could perhaps not be prepared there now
	} else if st != nil && st.shape.told != nil && s.queue.cycles > 0 && (st.shape.rows || len(name) == 0 && !s.hereNow) {
		return verbStall // it will be known, or must be prepared
	}
	at, v, ok := s.place(name)
	if !ok {
		return v
	}
	e := entry{typ: wire.Describe}
	if st := s.meant(name); st != nil {
		e.flags = databaseFlag(st)
	}
	s.forward(e)
	if len(name) == 0 {
		return verbForward
	}
	s.shared.toServer = wire.AppendTarget(s.shared.toServer, wire.Describe, wire.KindStatement, at)
	return verbDrop
}

// clientClose forgets a statement's name; the server keeps the statement.
func (s *session) clientClose(h wire.Header, b []byte) verb {
	kind, name, err := target(h, b)
	if err == nil && kind == wire.KindStatement && len(name) > 0 && s.changes > 0 {
		return verbStall // whether the name is one of ours is not decided
	}
	if err != nil || kind == wire.KindPortal || s.raw && s.meant(name) == nil && !ours(string(name)) {
		if !s.held {
			return verbAcquire
		}
		e := entry{typ: wire.Close}
		if err == nil && kind == wire.KindPortal {
			e.more = s.bound(name, nil)
		}
		if kind == wire.KindStatement && s.prepared[string(cutName(name))] {
			e.more = &detail{frees: string(cutName(name))}
			s.forgets = true
		}
		s.forward(e)
		return verbForward
	}
	e := entry{typ: wire.Close, more: &detail{reply: closeComplete}}
	if len(name) == 0 {
		e.stmt, e.more.unnamed, e.flags = s.unnamed, true, s.hereFlag()
		s.unnamed, s.hereNow = nil, false
	} else if st := s.meant(name); st != nil {
		e.more.name, e.more.prev, e.more.named = string(cutName(name)), st, true
		s.unname(e.more.name)
	}
	s.answer(e)
	return verbDrop
}

func target(h wire.Header, b []byte) (kind byte, name []byte, err error) {
	if len(b) < h.Len {
		return 0, nil, wire.ErrMalformed
	}
	return wire.ParseTarget(b[wire.HeaderLen:])
}

// pendingChanges counts the entries behind the last Sync that may yet be
// skipped and change what a name means.
func (s *session) pendingChanges() (n int32) {
	for i := len(s.queue.entries) - 1; i >= s.queue.head; i-- {
		e := &s.queue.entries[i]
		if e.typ == wire.Sync {
			break
		}
		if e.more != nil && e.more.named {
			n++
		}
	}
	return n
}

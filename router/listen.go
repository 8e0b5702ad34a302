package router

import (
	"bytes"

	"howdah/tenants"
	"howdah/wire"
)

// A LISTEN of its own holds no server: one connection per database and loop
// listens for all sessions (listener.go). What a transaction listens for is
// subscribed before its COMMIT is sent, so that nothing that is sent after it
// is lost, and in force with it. Between idle and idle nothing is delivered:
// what comes meanwhile waits for the ReadyForQuery, and that waits for the
// listener to say that it has told everything up to it.

// listening is what a session listens for.
type listening struct {
	on    map[string]bool // in force
	acked map[string]bool // subscribed for what is not committed yet
	ops   []listenOp      // of the transaction that runs

	notes   []byte // NotificationResponse messages for when the client is idle
	changed bool   // subscriptions may be more than what is wanted
}

func newListening() *listening {
	return &listening{on: map[string]bool{}, acked: map[string]bool{}}
}

// maxChannels is how many a session can listen for without a server of its own.
const maxChannels = 1000

// listenOp is a LISTEN or UNLISTEN.
type listenOp struct {
	off     bool
	channel string // of UNLISTEN: "" is all
	place   bool   // it is neither, but a savepoint
}

// listenTo notes a LISTEN or UNLISTEN.
func (s *session) listenTo(r *reading) {
	if s.listens == nil {
		if r.command != commandListen {
			return
		}
		s.listens = newListening()
	}
	s.listens.ops = append(s.listens.ops, listenOp{off: r.command != commandListen, channel: r.name})
}

// subscribes reports whether channels must be subscribed before r can be done,
// and leaves their names in channels; none where the listener must have told all
// that was sent before r: an UNLISTEN ends what comes after it.
func (s *session) subscribes(r *reading) bool {
	s.shared.channels = nil
	if s.heard {
		s.heard = false
		return false
	}
	want := func(channel string) {
		if s.listens == nil || !s.listens.on[channel] && !s.listens.acked[channel] {
			s.shared.channels = append(s.shared.channels, channel)
		}
	}
	switch {
	case r.command == commandListen && s.status == wire.TxIdle:
		want(r.name)
	case r.command == commandUnlisten, r.command == commandUnlistenAll, r.command == commandDiscardAll:
		return s.awaits(s.status)
	case r.effects&mayCommit != 0 && s.listens != nil:
		for _, op := range s.listens.ops {
			if !op.off && !op.place {
				want(op.channel)
			}
		}
	}
	return len(s.shared.channels) > 0
}

// subscribed notes that the channels are.
func (s *session) subscribed(channels []string) {
	if s.listens == nil {
		s.listens = newListening()
	}
	for _, channel := range channels {
		s.listens.acked[channel] = true
	}
	s.heard = len(channels) == 0
}

// unsubscribed has the message fail whose channels could not be subscribed: it
// is presented again, and v is what would become of it. A transaction ends with
// it, without having been committed.
func (s *session) unsubscribed(v verb, h wire.Header, b []byte) verb {
	switch {
	case v == verbStall || v == verbSubscribe && h.Type == wire.Query && !s.queue.empty():
		return verbStall // in its turn
	case v != verbSubscribe: // what came meanwhile has decided otherwise
		s.unheard = nil
		return v
	}
	e := s.unheard
	s.unheard = nil
	if s.held && s.status == wire.TxOpen {
		s.failCommit(e, h, b)
		return verbDrop
	}
	s.shared.toClient = wire.AppendError(s.shared.toClient, e)
	s.deferred, s.status, s.ranHere = 0, wire.TxIdle, false
	s.listened(false)
	s.dropPortal()
	if h.Type != wire.Query {
		s.skipping = true
		return verbDrop
	}
	s.shared.statements.drop(s.unnamed)
	s.unnamed, s.hereNow = nil, false
	s.sayReady()
	return verbDrop
}

// failCommit has the server fail in place of a message that may commit. After
// a COMMIT there is no transaction, as after one that fails in PostgreSQL; what
// only may commit leaves a failed one.
func (s *session) failCommit(e *wire.Error, h wire.Header, b []byte) {
	var c command
	if h.Type == wire.Query {
		r := s.vars.read(bytes.TrimSuffix(b[wire.HeaderLen:], []byte{0}))
		c = r.command
		s.shared.statements.drop(s.unnamed)
		s.unnamed, s.hereNow = nil, false
	} else if m, err := wire.ParseBind(b[wire.HeaderLen:]); err == nil {
		if st := s.meant(m.Statement); st != nil {
			c = st.command
		}
	}
	if c == commandCommit {
		s.run(helperRollback, rollbackName, "rollback", 0)
	}
	s.fail(e)
	if h.Type == wire.Query {
		s.injectSync(entryForward, 0)
	}
}

// failQuery has the server fail in place of a simple query.
func (s *session) failQuery(e *wire.Error) verb {
	s.shared.statements.drop(s.unnamed)
	s.unnamed, s.hereNow = nil, false
	s.fail(e)
	s.injectSync(entryForward, 0)
	return verbDrop
}

// listened ends a transaction for what it listens for.
func (s *session) listened(committed bool) {
	l := s.listens
	if l == nil || len(l.ops) == 0 && len(l.acked) == 0 {
		return
	}
	if committed {
		for _, op := range l.ops {
			switch {
			case op.place:
			case !op.off:
				l.on[op.channel] = true
			case op.channel == "":
				clear(l.on)
			default:
				delete(l.on, op.channel)
			}
		}
	}
	l.ops, l.changed = l.ops[:0], true
	clear(l.acked)
	l.notes = l.wanted(l.notes)
}

// wanted returns the notifications of channels that are in force.
func (l *listening) wanted(notes []byte) []byte {
	kept := notes[:0]
	for len(notes) > 0 {
		h, _, _ := wire.ParseHeader(notes)
		if n, err := wire.ParseNotification(notes[wire.HeaderLen:h.Len]); err == nil && l.on[string(n.Channel)] {
			kept = append(kept, notes[:h.Len]...)
		}
		notes = notes[h.Len:]
	}
	return kept
}

// queryListens handles LISTEN and UNLISTEN of a client that holds a server; ok
// is false where the server must do it, which pins it.
func (s *session) queryListens(r *reading) (v verb, ok bool) {
	known := r.command == commandListen && s.listens != nil && s.listens.on[r.name]
	if s.mode != tenants.Transaction || s.status == wire.TxFailed || s.done&marksPlace != 0 || s.pins&pinListen != 0 && !known || !s.can(r) {
		return 0, false
	}
	if !s.queue.empty() {
		return verbStall, true
	}
	if s.open {
		return 0, false
	}
	if s.subscribes(r) {
		return verbSubscribe, true
	}
	s.shared.statements.drop(s.unnamed)
	s.unnamed, s.hereNow = nil, false
	s.do(r)
	if s.status == wire.TxIdle {
		s.listened(true)
	}
	s.sayReady()
	return verbDrop, true
}

// listensOn notes what a statement that is complete at the server does to the
// channels of the session: an UNLISTEN is for those that the server does not
// listen for, too, unless it is rolled back to a savepoint.
func (s *session) listensOn(e *entry, body []byte) {
	l := s.listens
	if l == nil || e.kind != entryForward {
		return
	}
	switch string(bytes.TrimSuffix(body, []byte{0})) {
	case "COMMIT": // others may follow before ReadyForQuery
		s.listened(true)
	case "SAVEPOINT":
		l.ops = append(l.ops, listenOp{place: true})
	case "RELEASE":
		if at := l.lastPlace(); at >= 0 {
			l.ops = append(l.ops[:at], l.ops[at+1:]...)
		}
	case "ROLLBACK": // or ROLLBACK TO, as a rule to the last
		if at := l.lastPlace(); at >= 0 {
			l.ops = l.ops[:at+1]
		} else {
			s.listened(false)
		}
	case "UNLISTEN":
		if e.more == nil || len(e.more.unlisten) == 0 {
			return
		}
		l.ops = append(l.ops, listenOp{off: true, channel: e.more.unlisten[0]})
		e.more.unlisten = e.more.unlisten[1:]
		s.committed = true // unless it fails, or ReadyForQuery tells of a transaction
	}
}

// lastPlace returns which of the ops is the last savepoint, -1 for none.
func (l *listening) lastPlace() int {
	for i := len(l.ops) - 1; i >= 0; i-- {
		if l.ops[i].place {
			return i
		}
	}
	return -1
}

// sayReady tells a client that has no answer outstanding that it is its turn.
func (s *session) sayReady() {
	if s.status == wire.TxIdle {
		s.tellNotes()
	}
	if !s.untold {
		s.shared.toClient = wire.AppendReadyForQuery(s.shared.toClient, s.status)
	}
}

// tellNotes tells the client of what waits. A notification that its encoding
// cannot express ends the session, as it does at PostgreSQL: untold.
func (s *session) tellNotes() {
	if s.listens == nil || len(s.listens.notes) == 0 {
		return
	}
	notes := s.listens.notes
	s.listens.notes = nil
	for len(notes) > 0 && !s.untold {
		h, _, _ := wire.ParseHeader(notes)
		var e *wire.Error
		if s.shared.toClient, e = s.vars.spoken(s.shared.toClient, notes[:h.Len]); e != nil {
			s.shared.toClient = wire.AppendError(s.shared.toClient, e)
			s.untold = true
		}
		notes = notes[h.Len:]
	}
}

// awaits reports whether the end of a transaction must wait for the listener.
func (s *session) awaits(status wire.TxStatus) bool {
	return status == wire.TxIdle && (s.news || s.listens != nil && len(s.listens.on) > 0)
}

// listensAtCommit reports whether a COMMIT is on its way from which on the session
// listens: in what the last ReadyForQuery that is to come will end.
func (s *session) listensAtCommit() bool {
	if s.listens == nil || len(s.listens.ops) == 0 {
		return false
	}
	last := len(s.queue.entries) - 1
	for i := last; i >= s.queue.head && (i == last || !s.queue.entries[i].ends()); i-- {
		if s.queue.entries[i].flags&flagCommit != 0 {
			return true
		}
	}
	return false
}

// passed goes on when the listener has told everything.
func (s *session) passed() {
	s.barrier = false
	s.tellNotes()
	if s.untold {
		return
	}
	s.shared.toClient = wire.AppendReadyForQuery(s.shared.toClient, wire.TxIdle)
	s.answerLocals()
}

// idle reports whether the client believes itself idle, and so can be told of
// notifications.
func (s *session) idle() bool {
	return s.status == wire.TxIdle && s.deferred == 0 && s.queue.empty() && !s.open && !s.barrier
}

package router

import (
	"bytes"

	"howdah/tenants"
	"howdah/wire"
)

// verb is what becomes of the message that an event brought.
type verb uint8

const (
	verbForward   verb = iota // pass it on as it is
	verbRewrite               // toServer ends with its new beginning; pass on what follows behind used bytes
	verbDrop                  // it is not passed on
	verbAcquire               // it needs a server: present it again when one is assigned
	verbStall                 // present it again when the queue has moved
	verbSubscribe             // it needs the channels: present it again when that is done
	verbLeave                 // the client is leaving
	verbRefuse                // close the session with toClient as its last words
)

// maxQueue bounds the messages of one session that await their answers.
const maxQueue = 32 << 10

// shared is what the sessions of one worker have in common.
type shared struct {
	statements statements
	vars       varsTable

	// what the last event left
	toServer []byte
	toClient []byte
	used     int      // verbRewrite: bytes of the message, header included, that were replaced
	channels []string // verbSubscribe: what it waits for
	counts   counts

	text   []byte    // of the prepared statement that was looked at last
	queues [][]entry // of sessions that hold no server
}

// maxKeptQueue is the longest queue that is kept for others, in entries.
const maxKeptQueue = 1024

func (sh *shared) takeQueue() []entry {
	n := len(sh.queues)
	if n == 0 {
		return make([]entry, 0, 16)
	}
	q := sh.queues[n-1]
	sh.queues = sh.queues[:n-1]
	return q
}

func (sh *shared) giveQueue(q []entry) {
	if cap(q) <= maxKeptQueue && len(sh.queues) < 1024 {
		sh.queues = append(sh.queues, q[:0])
	}
}

// session decides what becomes of each message. It is a state machine without
// input or output: an event goes in, a verb comes out, and bytes for either
// side are left in toServer (which go before the message the event brought)
// and toClient (which go behind it).
//
// Every message that the server will answer, and every one that Howdah answers
// itself while others are outstanding, has an entry in the queue, in order.
type session struct {
	mode   tenants.PoolMode
	status wire.TxStatus // as the client believes: of the last ReadyForQuery, but see begin.go
	held   bool          // a server is assigned: backend is its memory

	copyIn     bool // the server reads CopyData
	copyBoth   bool // replication: both sides stream
	skipping   bool // an error was reported: the server discards up to Sync
	open       bool // something was sent since the last ReadyForQuery
	unsure     bool // the number of ReadyForQuery to come is not known
	resetting  bool // DISCARD ALL ran; the ParameterStatus of its server are not the client's
	hereNow    bool // the unnamed statement is the server's
	raw        bool // names that we do not know are the server's own
	checking   bool // login: the settings are being tried
	refused    bool // login: they were
	committing bool // a portal that may end the transaction was bound or executed since the last Sync
	forgets    bool // one that may destroy prepared statements was sent since the last Sync

	confined bool // what runs was begun READ ONLY, for over
	ends     bool // a portal that ends the transaction, with COMMIT or without, was bound since the last Sync
	ended    bool // one may have been executed

	lookErred bool // the look that is under way has failed
	barrier   bool // ReadyForQuery waits for the listener, or for news
	news      bool // somebody is being told what was done to a database
	heard     bool // the listener has told all for the message that is presented again
	untold    bool // the client was told its last: a notification that its encoding cannot express
	committed bool // the last transaction ended so
	declared  bool // a cursor, in this transaction
	lastWords bool // the server has told the client why it goes
	sticky    bool // values of sequences are asked for
	defining  bool // what names mean may have been changed, and not yet for good
	writing   bool // this transaction may have written
	halted    bool // a portal may stand behind some of its rows; only a Parse, or what ends, shows others what it has written
	undone    bool // the last command was a ROLLBACK
	reading   bool // this transaction was begun READ ONLY
	notify    bool // a notification may have been sent from this server
	piped     bool // messages of the client's are in front, unconfirmed
	back      bool // what was sent since the server was assigned may have to be taken back

	begun        bool // the BEGIN that was deferred is on its way, and not yet confirmed
	prefixFailed bool // what was injected failed
	beginFailed  bool // a BEGIN was among it: the client is in a failed transaction
	ranHere      bool // the portal was executed without a server
	prefix       bool // messages of ours are in front of the client's first, unconfirmed

	asks       command    // of the last Query: COMMIT or ROLLBACK, without a chain, or anything else
	setting    doubt      // of what is outstanding
	local      doubt      // until the transaction ends
	altered    alteration // in this transaction, should it commit
	deferred   txOptions  // the BEGIN that no server has seen yet
	pins       pin        // why the server stays
	forgetting uint16     // entries with flagForgets
	done       effect     // what texts may have done since the server was last looked at
	commanding int32      // entries with commands on whole databases
	changes    int32      // of named, not yet confirmed, before the last Sync
	syncs      uint32     // Syncs sent, to tell what they separate
	valuesAt   uint64     // the server whose values of sequences may be the session's, 0 for none
	hereAt     uint32     // syncs when hereNow became true
	limit      int32      // statements kept per server
	most       int32      // statements that the client may have; 0 is no limit
	text       int32      // bytes of their texts

	queue   queue
	portal  *statement            // the unnamed portal, while no server has it
	named   map[string]*statement // prepared statements by the client's names
	unnamed *statement

	undecided []*statement // parsed under settings that are still to be told
	confirmed []*detail    // of entries that are final but for rewind, oldest first
	touched   []touch      // the settings that done may have changed
	asked     asked        // what is being looked at
	databases []onDatabase // commands on whole databases that PostgreSQL has done, until the transaction has ended

	mayOnDatabase func(*onDatabase) *wire.Error // nil = PostgreSQL alone is asked
	listens       *listening                    // nil until the first LISTEN
	unheard       *wire.Error                   // why channels could not be subscribed; the message is presented again with it
	prepared      map[string]bool               // names that PREPARE may have given at the server, or anyName
	portals       map[string]*portal            // at the server, of those that do more than the server knows
	tuning        *tuning                       // nil but between injected settings and ReadyForQuery
	reported      *vars                         // what the server last reported, between its DISCARD ALL and ReadyForQuery; nil otherwise

	quota *overQuota // the tenant is over it; nil where the client may write
	over  *overQuota // the same, as far as the session goes by it

	vars    *vars // what the client was told
	startup *vars // what RESET goes back to
	base    *vars // of servers: tells which settings are reported
	backend *backend

	shared *shared
	taint  *taint  // of the database; nil for never asked
	ddl    *uint64 // counts the database's changes; nil for never
}

// counts are what the machine counts as it goes.
type counts struct {
	queries, transactions, clientParses, serverParses, binds uint32

	altered alteration // settings that sessions start with
	wrote   bool       // a transaction that may have written has ended

	databases []onDatabase // that were made, dropped, renamed or moved
}

// peek returns how many bytes of a client message the machine must see before
// it can decide, at most.
func peek(h wire.Header) int {
	switch h.Type {
	case wire.Parse:
		return min(h.Len, maxParse)
	case wire.Bind, wire.Describe, wire.Close, wire.Execute:
		return min(h.Len, maxPeek)
	case wire.Query:
		return min(h.Len, maxQuery)
	case wire.FunctionCall:
		return min(h.Len, wire.HeaderLen+4)
	}
	return wire.HeaderLen
}

const (
	maxParse = 4 << 20 // of a Parse that can be given to other servers
	maxQuery = 1 << 20 // of a Query that is taken apart
	maxPeek  = 32 << 10
)

// fromClient handles a message from the client. b holds at least what peek asked
// for, and may hold more or less of the body than there is.
func (s *session) fromClient(h wire.Header, b []byte) verb {
	v := s.decide(h, b[:min(len(b), h.Len)])
	if s.unheard != nil {
		v = s.unsubscribed(v, h, b[:min(len(b), h.Len)])
	}
	if s.untold {
		return verbRefuse
	}
	if v == verbStall && s.held && !s.copyIn && (s.queue.cycles == 0 || s.queue.len() >= maxQueue) {
		// What it waits for may sit in the server's buffer.
		s.shared.toServer = wire.AppendEmpty(s.shared.toServer, wire.Flush)
	}
	return v
}

func (s *session) decide(h wire.Header, b []byte) verb {
	if s.queue.len() >= maxQueue {
		return verbStall
	}
	if s.quota != s.over || s.over != nil {
		s.settleQuota()
	}
	switch h.Type {
	case wire.Terminate:
		return verbLeave
	case wire.CopyData, wire.CopyDone, wire.CopyFail:
		return s.clientCopy(h.Type)
	case wire.Sync:
		if s.gated() {
			return verbStall
		}
		return s.clientSync()
	case wire.Flush:
		if !s.held || s.copyIn {
			return verbDrop
		}
		return verbForward
	}
	if s.skipping && s.held && !s.piped && (h.Type == wire.Query || h.Type == wire.FunctionCall) {
		// Only messages of ours have failed, in front of this one, and the
		// client knows: what is left is to end it.
		s.skipping = false
		s.shared.toServer = wire.AppendEmpty(s.shared.toServer, wire.Sync)
		s.forward(entry{typ: h.Type})
		return verbDrop
	}
	if s.skipping {
		s.piped = s.held // what failed was for this message, or one before it
		return verbDrop  // as the server would
	}
	if s.copyIn && !s.copyBoth {
		return verbForward // COPY fails on it and takes no further notice
	}
	if s.over != nil && s.queue.cycles > 0 {
		return verbStall // which transaction it is of is not decided
	}
	if s.forgetting > 0 {
		return verbStall // what names mean is not decided, nor which settings hold
	}
	if s.gated() || s.forgets && !s.queue.empty() && h.Type != wire.Execute {
		return verbStall
	}
	discarded := s.forgets && s.queue.empty()                // by a message before this one in the pipeline, which is its own transaction
	discardedAll := discarded && s.held && s.reported != nil // outside any transaction, or PostgreSQL would have refused
	if s.held && (!s.piped || discarded) && !s.prefix && (s.status == wire.TxIdle || discardedAll) && s.backend.vars != s.inForce() {
		if !s.queue.empty() {
			return verbStall // a look, or what RESET has to bring back
		}
		s.inject() // DISCARD ALL ran on a server that stays
	}
	if discardedAll && s.tuning == nil && s.backend.vars == s.inForce() {
		s.tuning = &tuning{from: s.reported, to: s.inForce(), done: true} // what is set behind it must be told
	}
	switch h.Type {
	case wire.Query, wire.FunctionCall:
		return s.clientQuery(h, b)
	case wire.Parse:
		return s.clientParse(h, b)
	case wire.Bind:
		return s.clientBind(h, b)
	case wire.Describe:
		return s.clientDescribe(h, b)
	case wire.Close:
		return s.clientClose(h, b)
	case wire.Execute:
		if !s.held {
			return s.executeHere(b)
		}
		return s.clientExecute(h, b)
	}
	return s.refuse(wire.Fatal(wire.CodeProtocolViolation,
		"invalid frontend message type "+string(appendInt(nil, int(h.Type))), ""))
}

// forward queues the entry of a message that goes to the server.
func (s *session) forward(e entry) {
	s.queue.push(e)
	s.open = true
	s.piped = s.piped || e.kind != entrySwallow && e.typ != wire.Sync
}

func (s *session) clientCopy(typ byte) verb {
	if !s.held || s.queue.empty() {
		return verbDrop // left over from a COPY that has ended
	}
	if typ != wire.CopyData {
		s.queue.last().flags |= flagCopyEnd
		s.copyIn = false
	}
	return verbForward
}

// clientSync passes a Sync on, or answers it when no server is concerned.
func (s *session) clientSync() verb {
	s.skipping = false
	if !s.held {
		s.endHere()
		return verbDrop
	}
	s.changes += s.pendingChanges()
	s.syncs++
	s.committing, s.ends, s.ended = false, false, false
	e := entry{typ: wire.Sync}
	if s.forgets {
		e.flags, s.forgets = flagForgets, false
		s.forgetting++
	}
	if s.copyIn && !s.copyBoth {
		e.flags |= flagMaybe // it is read over, unless the COPY fails before
	}
	s.forward(e)
	return verbForward
}

func (s *session) clientQuery(h wire.Header, b []byte) verb {
	whole := h.Type == wire.Query && h.Len == len(b)
	text := bytes.TrimSuffix(b[wire.HeaderLen:], []byte{0})
	if !s.held {
		if whole {
			return s.queryHere(text)
		}
		return verbAcquire
	}
	var resets []restored
	var unknown *reading // names a statement that only the server's others may have
	rewritten := ""      // text that is sent in its place
	e := entry{typ: h.Type}
	if h.Type == wire.FunctionCall {
		if s.over != nil && s.overreachesByCall(b[wire.HeaderLen:]) {
			return s.failCall(s.over.refusal())
		}
		r := called(b[wire.HeaderLen:])
		if !s.clearSequences(&r) {
			return verbStall
		}
		s.note(&r)
		s.writing = true // of what it does no tag tells: it may be a large object's
	} else {
		if s.literalsUndecided() && !plainLiterals(text) {
			return verbStall
		}
		delete(s.portals, "") // a simple query drops it
		r := reading{effects: anything}
		if whole {
			r = s.vars.read(text)
			s.doubtLiterals(&r, text)
		}
		if s.over != nil {
			if s.confined && !s.ended && r.command == commandBegin && r.effects&unlocks != 0 {
				rewritten = r.options.readOnlyToo().beginText()
			} else if s.overreaches(&r, text, whole) {
				return s.failQuery(s.over.refusal())
			}
		}
		if s.asks = r.command; r.options&txChain != 0 {
			s.asks = commandOther
		}
		if resets = s.resets(&r, s.status == wire.TxIdle && s.queue.empty()); len(resets) > 0 && !s.queue.empty() {
			return verbStall // it must not be skipped
		}
		if r.command == commandDeallocate || r.command == commandExecute || r.command == commandPrepare {
			if v, ok := s.queryNamed(&r, text); ok {
				return v
			}
			if r.command != commandPrepare && s.named[r.name] == nil && ours(r.name) {
				unknown = &r
			}
		}
		if r.command == commandPrepare && s.prepared[r.name] && s.queue.cycles > 0 {
			return verbStall // the name may be given or freed by what was sent
		}
		if r.command == commandListen || r.command == commandUnlisten || r.command == commandUnlistenAll {
			if v, ok := s.queryListens(&r); ok {
				return v
			}
		}
		if s.status == wire.TxOpen && s.subscribes(&r) {
			return verbSubscribe
		}
		if len(r.databases) > 0 {
			if e := s.barred(&r); e != nil {
				return s.failQuery(e)
			}
		}
		if !s.clearSequences(&r) {
			return verbStall
		}
		if r.effects&mayCommit != 0 {
			e.flags |= flagCommit
		}
		if r.effects&mayForget != 0 {
			e.flags |= flagForgets
			s.forgetting++
		}
		switch has := s.prepared[r.name]; {
		case r.command == commandPrepare && !has:
			e.more = &detail{gives: r.name}
		case r.command == commandDeallocate && has:
			e.more = &detail{frees: r.name}
		case len(r.unlisten) > 0 && s.listens != nil:
			e.more = &detail{unlisten: r.unlisten} // it may be for channels of either connection
		}
		s.note(&r)
		s.does(&e, &r)
		e.stmt = s.unnamed
		e.flags |= s.hereFlag()
		s.unnamed, s.hereNow = nil, false // a simple query drops it
	}
	if !s.queue.empty() && s.queue.last().kind == entrySwallow {
		e.flags |= flagGated
	}
	if unknown != nil {
		e.more = &detail{name: unknown.name, renamed: s.renames(unknown, text, noName)}
		s.forward(e)
		s.shared.toServer = wire.AppendString(s.shared.toServer, wire.Query, string(text[:unknown.from])+noName+string(text[unknown.to:]))
		return verbDrop
	}
	s.forward(e)
	if rewritten != "" {
		s.shared.toServer = wire.AppendString(s.shared.toServer, wire.Query, rewritten)
		return verbDrop
	}
	if len(resets) > 0 {
		s.shared.toServer = append(s.shared.toServer, b...)
		s.restoreBehind(resets)
		return verbDrop
	}
	return verbForward
}

// gated reports whether what the client sends must wait for the fate of
// messages of ours: should they fail, the server begins to listen again behind
// what was sent already, without the settings or the transaction meant for it.
// What a session that listens sends waits for the end of the transaction
// before, so that notifications come between the right ones.
func (s *session) gated() bool {
	if s.barrier {
		return true
	}
	if s.queue.empty() || !s.queue.last().ends() {
		return false
	}
	return s.prefix || s.prefixFailed || s.awaits(wire.TxIdle) || s.listensAtCommit() || s.queue.last().flags&flagGated != 0 && s.queue.behindOurs()
}

// refuse ends the session with an error.
func (s *session) refuse(e *wire.Error) verb {
	s.shared.toClient = wire.AppendError(s.shared.toClient, e)
	return verbRefuse
}

// assigned begins the use of a server: messages of ours bring its settings to
// the session's.
func (s *session) assigned(b *backend) {
	s.held, s.backend = true, b
	if b.user != s || s.valuesAt != b.who { // what it left there is not its last
		b.user, b.ownValues = s, false
	}
	s.valuesAt = b.who
	s.committed = s.status == wire.TxIdle // for what a pipeline has begun without a server
	s.hereNow, s.unsure, s.resetting, s.tuning, s.notify = false, false, false, nil, false
	s.reported, s.declared, s.halted = nil, false, false
	if s.queue.entries == nil {
		s.queue.entries = s.shared.takeQueue()
	}
	if s.confined {
		s.distrust()
	}
	s.inject()
	if s.ranHere && s.status == wire.TxIdle {
		s.injectRan()
	}
	s.ranHere = false
}

// released ends the use of a server.
func (s *session) released() {
	s.held, s.backend = false, nil
	s.hereNow, s.prefix, s.ranHere, s.portals, s.databases = false, false, false, nil, nil
	if s.queue.empty() {
		s.shared.giveQueue(s.queue.entries)
		s.queue = queue{}
	}
}

// releasable reports whether the server can go to somebody else: every answer
// has come, and the last one said idle.
func (s *session) releasable() bool {
	return s.held && !s.open && s.queue.empty() && s.status == wire.TxIdle &&
		!s.copyIn && !s.copyBoth && !s.barrier && s.pins == 0 && s.mode != tenants.Session
}

// endable reports whether a client that leaves now leaves nothing behind: the
// same, but a pool mode or pin that kept the server no longer does.
func (s *session) endable() bool {
	return s.queue.empty() && !s.open && !s.copyIn && !s.copyBoth
}

// rollsBack reports whether what runs for a client that has vanished should be
// cancelled: it is inside a transaction that no outstanding message may commit.
// Anything else PostgreSQL would finish.
func (s *session) rollsBack() bool {
	return s.status != wire.TxIdle && !s.commits()
}

// commits reports whether an outstanding message may commit a transaction.
func (s *session) commits() bool {
	for i := s.queue.head; i < len(s.queue.entries); i++ {
		if s.queue.entries[i].flags&flagCommit != 0 {
			return true
		}
	}
	return false
}

// unfinished reports whether what was sent waits for a Sync that a client that
// has vanished will never send, so that PostgreSQL would not commit it, or
// nobody knows which answers are still to come.
func (s *session) unfinished() bool { return s.open && s.queue.cycles == 0 || s.unsure }

// close forgets everything.
func (s *session) close() {
	s.stand()
	for i := range s.queue.entries {
		s.settle(&s.queue.entries[i])
	}
	s.queue = queue{}
	if s.asked.taint {
		s.taint.asking = false // somebody else may ask
	}
	for _, st := range s.undecided {
		s.shared.statements.drop(st)
	}
	s.undecided = nil
	s.dropPortal()
	s.dropAll()
}

func appendInt(dst []byte, n int) []byte {
	if n >= 10 {
		dst = appendInt(dst, n/10)
	}
	return append(dst, byte('0'+n%10))
}

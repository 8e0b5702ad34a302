package router

import "howdah/wire"

// Kinds of entries in a session's queue.
type entryKind uint8

const (
	entryForward entryKind = iota // the client's message went to the server; its answer goes to the client
	entrySwallow                  // we injected a message; nobody sees its answer, but for an error
	entryLocal                    // answered by us when its turn comes
	entryFail                     // we made the server fail; the client sees detail.err instead
)

// Flags of entries.
const (
	flagMaybe     = 1 << iota // a Sync that COPY may have eaten
	flagGated                 // injected messages stand in front: their failure skips this Query
	flagCommit                // may end the transaction
	flagVars                  // with its answer the session's settings are in force
	flagCheck                 // the Sync that ends a login's check of its settings
	flagCopyIn                // it takes data in
	flagCopyEnd               // CopyDone or CopyFail was sent behind it
	flagForgets               // a Query that may destroy prepared statements, or the Sync behind an Execute that may
	flagSequences             // with its answer the server has forgotten the values of sequences
	flagLook                  // part of a look at the server
	flagMeant                 // it stands for a message of the client's, which sees notices and errors
	flagInjected              // part of what is in front of the client's messages: it fails for them
	flagHere                  // the unnamed statement before this message was the server's
	flagPrefix                // the last of the messages in front of the first that the client sends to a server
	flagDatabase              // it makes nothing but a statement ready that is a command on a database
)

// entry stands for one message in the order in which answers are due.
type entry struct {
	kind  entryKind
	typ   byte // the message's type
	flags uint16
	stmt  *statement // the unnamed statement before this message
	more  *detail    // nil for most
}

// ends reports whether ReadyForQuery answers the message.
func (e *entry) ends() bool {
	return e.typ == wire.Sync || e.typ == wire.Query || e.typ == wire.FunctionCall
}

// heard reports whether the client hears notices that come with the answer.
func (e *entry) heard() bool {
	return (e.kind == entryForward || e.flags&flagMeant != 0) && (e.more == nil || !e.more.quiet)
}

// detailed returns the entry's detail, made if need be.
func (e *entry) detailed() *detail {
	if e.more == nil {
		e.more = &detail{}
	}
	return e.more
}

// detail is what rare entries need beside.
type detail struct {
	name    string     // the client's prepared statement that the message made or closed; of a look the setting
	prev    *statement // what name meant before; nil for nothing
	named   bool       // name is set, and must be put back if the message is skipped
	ready   *prepared  // being parsed on the server
	evicted *prepared  // being closed at the server
	unnamed bool       // a Close of the unnamed statement
	quiet   bool       // the client does not hear notices
	frees   string     // the name that PREPARE gave and a Close takes away
	gives   string     // the name that a PREPARE gives, unless it fails
	helper  uint64     // the bit of our own statement that the message parses

	portal *portalBefore // what a portal was before the message

	describing *describing // what a Describe of ours finds out

	databases []onDatabase // commands on whole databases, of a Query or an Execute
	completed int          // statements of such a message

	unlisten []string    // channels that an Execute UNLISTENs when it is complete
	look     lookFor     // flagLook: what its row tells
	restores []restored  // the login's settings that a Query resets
	renamed  renamed     // where a Query has our name of a statement
	reply    []byte      // entryLocal: what the client gets
	err      *wire.Error // entryFail; nil for none
}

// queue holds a session's entries, oldest first. An idle session's holds no
// memory: its slice comes from and returns to the worker.
type queue struct {
	entries []entry
	head    int
	cycles  int // entries that ReadyForQuery will answer
}

func (q *queue) empty() bool   { return q.head == len(q.entries) }
func (q *queue) len() int      { return len(q.entries) - q.head }
func (q *queue) first() *entry { return &q.entries[q.head] }
func (q *queue) last() *entry  { return &q.entries[len(q.entries)-1] }

// behindOurs reports whether a message of ours is right in front of the last one.
func (q *queue) behindOurs() bool {
	return q.len() > 1 && q.entries[len(q.entries)-2].kind == entrySwallow
}

func (q *queue) push(e entry) {
	q.entries = append(q.entries, e)
	if e.ends() {
		q.cycles++
	}
}

func (q *queue) pop() entry {
	e := q.entries[q.head]
	if e.ends() {
		q.cycles--
	}
	q.entries[q.head] = entry{}
	q.head++
	if q.head == len(q.entries) {
		q.entries, q.head = q.entries[:0], 0
	} else if q.head > 1024 && q.head > len(q.entries)/2 {
		n := copy(q.entries, q.entries[q.head:])
		clear(q.entries[n:])
		q.entries, q.head = q.entries[:n], 0
	}
	return e
}

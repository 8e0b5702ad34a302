package router

import "strings"

// effect says what a text may do beyond its result. In doubt a text may do it.
type effect uint32

const (
	mayCommit     effect = 1 << iota // end a transaction block with COMMIT
	maySet                           // change settings: those in reading.settings
	maySetAny                        // change settings of unknown names
	mayReset                         // put settings back to those of the login
	mayForget                        // destroy prepared statements
	mayKeep                          // leave state behind that a look can find: see pins.go
	mayFree                          // end such state
	leavesSeed                       // leave state behind that nothing can find: of random()
	leavesOther                      // of other kinds
	holdsCursor                      // declare a cursor WITH HOLD
	acts                             // run code of the database's own: see taint.go
	leavesSetting                    // a setting whose name is computed
	mayNotify                        // send a notification
	readsSequence                    // ask for a value that nextval left in the session
	movesSequence                    // leave one
	marksPlace                       // SAVEPOINT and its kin
	several                          // it is more than one statement
	prepares                         // PREPARE: names of statements may be the server's own
	reloads                          // have PostgreSQL read its configuration again
	defines                          // change what names mean
	rollsBack                        // end a transaction block without COMMIT
	unlocks                          // have a READ ONLY transaction write, if nothing has run in it yet
	blocks                           // run a block that may end transactions: DO, CALL
	endsItself                       // commit what it does by itself: VACUUM and its kin
	writesLarge                      // write large objects, which PostgreSQL before 16 does in READ ONLY transactions
)

// anything is what a text may do that is not understood.
const anything = mayCommit | maySet | maySetAny | mayReset | mayForget | mayKeep | mayFree | movesSequence | marksPlace | several | defines

// runsText is what a query may do that is an argument.
const runsText = maySet | maySetAny | mayKeep | mayFree | movesSequence

// command is what a text is that holds one statement and nothing else.
type command uint8

const (
	commandOther command = iota
	commandEmpty
	commandBegin
	commandCommit
	commandRollback
	commandRollbackTo
	commandSetTransaction
	commandDiscardAll
	commandResetAll
	commandDeallocateAll
	commandDeallocate // a statement's name
	commandExecute    // a statement's name
	commandPrepare    // a statement's name
	commandCloseAll
	commandListen // a channel
	commandUnlisten
	commandUnlistenAll
)

// reading is what the machine knows of a text.
type reading struct {
	effects   effect
	command   command
	options   txOptions    // of commandBegin and commandSetTransaction; of the others whether a transaction follows
	name      string       // that the command names
	from, to  int          // where the name stands in the text
	settings  []touch      // that it may change
	unlisten  []string     // channels that it UNLISTENs, "" for all
	databases []onDatabase // commands on whole databases
	quiet     bool         // it is a command without rows and parameters
	planned   bool         // PostgreSQL makes a plan for it, or it is not understood
}

// touch is a setting that a text may change.
type touch struct {
	name  string
	reset bool // to its value at login
	local bool // until the end of the transaction
}

// reader takes a text apart, statement by statement.
type reader struct {
	lexer
	reading
	last  token
	inner bool // it reads code inside a text
	count int  // of the statements in front of this one
	long  bool // one of those may take its time
}

// read takes a text apart. conforming is standard_conforming_strings.
func read(text []byte, conforming bool) reading {
	r := reader{lexer: lexer{text: text, conforming: conforming}}
	n := r.statements()
	switch {
	case n > 1:
		r.effects |= several
		r.quiet = false
		r.command = commandOther
	case n == 0 && r.effects == 0:
		r.command, r.quiet = commandEmpty, true
	}
	return r.reading
}

// statements reads to the end, and returns how many statements there were.
func (r *reader) statements() (n int) {
	for r.step(); r.last.kind != tokenEnd; {
		if r.last.symbol(';') {
			r.step()
			continue
		}
		n++
		word, known := r.last, len(r.databases)
		r.statement()
		r.count = n
		r.long = r.long || len(r.databases) == known && !word.is("begin") && !word.is("start")
	}
	return n
}

func (r *reader) step() token {
	r.last = r.next()
	if r.last.kind == tokenBroken {
		r.effects |= anything
		r.last = token{}
	}
	return r.last
}

// over reports whether the statement ends here.
func (r *reader) over() bool { return r.last.kind == tokenEnd || r.last.symbol(';') }

// takes steps over the key word w, if it stands here.
func (r *reader) takes(w string) bool {
	if r.last.is(w) {
		r.step()
		return true
	}
	return false
}

// statement reads to the end of one statement.
func (r *reader) statement() {
	r.planned = r.last.kind != tokenWord
	if !r.planned {
		r.first()
	}
	quiet := !r.planned && r.quiet
	var before token
	for !r.over() {
		switch r.last.kind {
		case tokenWord, tokenQuoted:
			r.word(before)
		case tokenParam:
			quiet = false
		case tokenSymbol:
			if r.last.symbol('(') && (before.kind == tokenWord || before.kind == tokenQuoted) && r.effects&acts == 0 && !harmless(before) {
				r.effects |= acts
			}
		}
		before = r.last
		r.step()
	}
	r.quiet = quiet
}

// first reads the word that a statement begins with.
func (r *reader) first() {
	word := r.last
	r.planned = word.among("select", "insert", "update", "delete", "merge", "with", "values", "table")
	r.quiet = !word.among("explain", "show", "fetch", "execute", "call")
	switch {
	case word.is("select"): // most
	case word.is("update"), word.is("delete"), word.is("with"), word.is("truncate"):
		r.effects |= acts
	case word.is("copy"):
		r.effects |= acts
		if r.copies() {
			r.effects |= movesSequence
		}
	case word.is("insert"), word.is("merge"):
		r.effects |= movesSequence | acts
	case word.is("begin"), word.is("start"):
		r.unlock()
		r.begin()
	case word.is("commit"), word.is("end"), word.is("rollback"), word.is("abort"):
		r.endTransaction(word)
	case word.is("savepoint"), word.is("release"):
		r.effects |= marksPlace
	case word.is("set"), word.is("reset"):
		r.unlock()
		r.set(word.is("reset"))
	case word.is("discard"):
		r.effects |= mayFree | mayForget | maySet | mayReset | endsItself
		r.exact(commandDiscardAll, "all")
	case word.is("deallocate"):
		r.effects |= mayFree | mayForget
		r.deallocate()
	case word.is("close"):
		r.effects |= mayFree
		r.exact(commandCloseAll, "all")
	case word.is("listen"), word.is("unlisten"):
		r.effects |= mayKeep | mayFree
		r.listen(word.is("unlisten"))
	case word.is("prepare"):
		if r.step().is("transaction") { // the first half of a two-phase commit
			r.effects |= mayKeep | mayCommit
		} else {
			r.effects |= mayKeep | prepares
			r.named(commandPrepare)
		}
	case word.is("execute"):
		r.effects |= maySet | maySetAny
		r.step()
		r.named(commandExecute)
	case word.is("explain"), word.is("create"):
		if word.is("create") {
			r.effects |= defines
			r.database(word)
		}
		r.executes()
	case word.is("drop"):
		r.effects |= mayFree | defines
		r.database(word)
	case word.is("alter"):
		r.effects |= defines
		r.database(word)
	case word.is("notify"):
		r.effects |= mayNotify
	case word.is("do"), word.is("call"):
		r.effects |= maySet | maySetAny | mayKeep | mayFree | movesSequence | mayCommit | acts | defines | blocks
		r.body()
	case word.is("load"):
		r.effects |= leavesOther
	case word.among("vacuum", "analyze", "analyse", "cluster", "reindex"):
		r.effects |= endsItself
	}
}

// among reports whether the token is one of the key words.
func (t *token) among(words ...string) bool {
	for _, w := range words {
		if t.is(w) {
			return true
		}
	}
	return false
}

// copies reports whether COPY is of rows into a table.
func (r *reader) copies() bool {
	l := r.lexer
	t := l.next()
	for query := t.symbol('('); !query && t.kind != tokenEnd && t.kind != tokenBroken && !t.is("to"); t = l.next() {
		if t.is("from") {
			return true
		}
	}
	return false
}

// executes looks for EXECUTE in EXPLAIN and CREATE TABLE AS.
func (r *reader) executes() {
	at, last := r.lexer, r.last
	for r.step(); !r.over(); r.step() {
		if r.last.is("execute") {
			r.effects |= maySet | maySetAny
			r.step()
			r.named(commandExecute)
			break
		}
	}
	r.lexer, r.last = at, last
}

// body reads the code in a DO for words, as if it were statements of its own. A
// DO in it may do anything.
func (r *reader) body() {
	if r.inner {
		r.effects |= anything &^ mayForget
		return
	}
	l := r.lexer
	for t := l.next(); t.kind != tokenEnd && t.kind != tokenBroken && !t.symbol(';'); t = l.next() {
		if t.kind == tokenString {
			inner := reader{lexer: lexer{text: t.text[1 : len(t.text)-1], conforming: r.conforming}, inner: true}
			inner.statements()
			r.effects |= inner.effects &^ (mayForget | rollsBack | unlocks)
		}
	}
}

// exact takes the statement for c if word is all that follows.
func (r *reader) exact(c command, word string) {
	r.step()
	if r.takes(word) && r.over() {
		r.command = c
	}
}

// named takes the statement for c if its name is all that follows.
func (r *reader) named(c command) {
	name, ok := r.identifier()
	if !ok {
		return
	}
	to := r.at
	from := to - len(r.last.text)
	if r.step(); r.over() || c == commandExecute && r.last.symbol('(') || c == commandPrepare && !r.last.symbol('.') {
		r.command, r.name, r.from, r.to = c, name, from, to
	}
}

// identifier returns the name that stands here, as PostgreSQL sees it.
func (r *reader) identifier() (string, bool) {
	switch text := r.last.text; r.last.kind {
	case tokenWord:
		for _, b := range text {
			if b >= 0x80 {
				return "", false // folded by the locale's rules
			}
		}
		return truncate(strings.ToLower(string(text))), true
	case tokenQuoted:
		if text[0] != '"' || len(text) == 2 {
			return "", false // U&, or no name at all
		}
		return truncate(strings.ReplaceAll(string(text[1:len(text)-1]), `""`, `"`)), true
	}
	return "", false
}

// maxName is the longest identifier, in bytes; PostgreSQL cuts longer ones.
const maxName = 63

func truncate(name string) string {
	if len(name) <= maxName {
		return name
	}
	cut := maxName
	for cut > 0 && name[cut]&0xC0 == 0x80 {
		cut--
	}
	return name[:cut]
}

func (r *reader) deallocate() {
	r.step()
	r.takes("prepare")
	if r.last.is("all") {
		if r.step(); r.over() {
			r.command = commandDeallocateAll
		}
		return
	}
	r.named(commandDeallocate)
}

func (r *reader) listen(not bool) {
	r.step()
	switch {
	case not && r.last.symbol('*'):
		r.unlisten = append(r.unlisten, "")
		if r.step(); r.over() {
			r.command = commandUnlistenAll
		}
	case not:
		if name, ok := r.identifier(); ok {
			r.unlisten = append(r.unlisten, name)
		}
		r.named(commandUnlisten)
	default:
		r.named(commandListen)
	}
}

// maxWord is the longest word that means anything here, in bytes.
const maxWord = 40

// lowered returns text in lower case, in buf; nil where it is too long for it.
func lowered(text []byte, buf *[maxWord]byte) []byte {
	if len(text) > len(buf) {
		return nil
	}
	for i, b := range text {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		buf[i] = b
	}
	return buf[:len(text)]
}

// word notes what a word may do wherever it stands. Functions are known by
// name, quoted or not; a column of that name costs a look in vain.
func (r *reader) word(before token) {
	var buf [maxWord]byte
	text := r.last.text
	if r.last.kind == tokenQuoted {
		if text[0] != '"' {
			r.effects |= mayKeep | maySet | maySetAny | writesLarge // U&"": who knows
			return
		}
		text = text[1 : len(text)-1]
	}
	if len(text) < 4 {
		return
	}
	switch text[0] | 0x20 {
	case 'p', 's', 'c', 'l', 'n', 't', 'h', 'd', 'i', 'm', 'q':
	default:
		return
	}
	switch string(lowered(text, &buf)) {
	case "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared",
		"pg_temp", "pg_create_physical_replication_slot", "pg_create_logical_replication_slot",
		"pg_copy_physical_replication_slot", "pg_copy_logical_replication_slot":
		r.effects |= mayKeep
	case "pg_advisory_unlock", "pg_advisory_unlock_shared", "pg_advisory_unlock_all", "pg_drop_replication_slot":
		r.effects |= mayFree
	case "temp", "temporary":
		if before.is("create") || before.is("replace") || before.is("local") || before.is("global") || before.is("into") {
			r.effects |= mayKeep
		}
	case "into":
		if !before.is("insert") && !before.is("merge") {
			r.effects |= defines
		}
	case "hold":
		if before.is("with") {
			r.effects |= mayKeep | holdsCursor
		}
	case "currval", "lastval":
		r.effects |= readsSequence
	case "nextval", "setval", "insert", "merge":
		r.effects |= movesSequence
	case "lo_creat", "lo_create", "lo_from_bytea", "lo_import", "lo_put", "lo_truncate", "lo_truncate64", "lo_unlink", "lowrite":
		r.effects |= writesLarge
	case "setseed":
		r.effects |= leavesSeed
	case "dblink_connect", "dblink_connect_u", "pg_backup_start", "pg_start_backup", "pg_replication_origin_session_setup":
		r.effects |= leavesOther
	case "pg_reload_conf":
		r.effects |= reloads
	case "pg_notify":
		r.effects |= mayNotify
	case "query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "ts_stat", "ts_rewrite", "crosstab":
		r.effects |= runsText
	case "set_config":
		r.setConfig()
	}
}

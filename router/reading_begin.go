package router

import "strings"

// txOptions are the options of BEGIN, and that there was one.
type txOptions uint16

const (
	txBegun    txOptions = 1 << 15
	txStart    txOptions = 1 << 14 // it was START TRANSACTION
	txChain    txOptions = 1 << 13 // of COMMIT and ROLLBACK: AND CHAIN
	isolations           = 5       // none said, and four levels
	accesses             = 3       // none said, READ WRITE, READ ONLY
	deferrings           = 3       // none said, DEFERRABLE, NOT DEFERRABLE
)

var (
	isolationTexts = [isolations]string{
		"", " isolation level read uncommitted", " isolation level read committed",
		" isolation level repeatable read", " isolation level serializable",
	}
	accessTexts    = [accesses]string{"", " read write", " read only"}
	deferringTexts = [deferrings]string{"", " deferrable", " not deferrable"}
)

// index numbers the combinations of options.
func (o txOptions) index() int { return int(o &^ (txBegun | txStart | txChain)) }

// text returns the BEGIN with these options.
func (o txOptions) text() string {
	i := o.index()
	return "begin" + isolationTexts[i%isolations] + accessTexts[i/isolations%accesses] + deferringTexts[i/isolations/accesses]
}

// begin reads BEGIN and START TRANSACTION with the options of the manual's
// page on them, each kind at most once.
func (r *reader) begin() {
	how := txBegun
	if r.last.is("start") {
		how |= txStart
	}
	r.step()
	if !r.takes("transaction") && (how&txStart != 0 || !r.takes("work") && !r.over() && !r.modeFollows()) {
		return
	}
	if modes, ok := r.modes(); ok {
		r.command, r.options = commandBegin, how|modes
	}
}

// setTransaction reads the modes of SET TRANSACTION.
func (r *reader) setTransaction() {
	if modes, ok := r.modes(); ok && modes != 0 {
		r.command, r.options = commandSetTransaction, modes
	}
}

// modes reads transaction modes up to the statement's end.
func (r *reader) modes() (options txOptions, ok bool) {
	modes := [3]int{}
	for first := true; !r.over(); first = false {
		if !first && r.last.symbol(',') {
			r.step()
		}
		kind, choice := r.mode()
		if choice <= 0 || modes[kind] != 0 {
			return 0, false
		}
		modes[kind] = choice
	}
	return optionsOf(modes[0], modes[1], modes[2]), true
}

func optionsOf(isolation, access, deferring int) txOptions {
	return txOptions(isolation + isolations*(access+accesses*deferring))
}

// with returns the options with those of more in their place.
func (o txOptions) with(more txOptions) txOptions {
	pick := func(now, next int) int {
		if next != 0 {
			return next
		}
		return now
	}
	i, j := o.index(), more.index()
	return o&(txBegun|txStart|txChain) | optionsOf(
		pick(i%isolations, j%isolations),
		pick(i/isolations%accesses, j/isolations%accesses),
		pick(i/isolations/accesses, j/isolations/accesses))
}

// modeFollows reports whether a transaction mode begins here.
func (r *reader) modeFollows() bool {
	return r.last.is("isolation") || r.last.is("read") || r.last.is("deferrable") || r.last.is("not")
}

// mode reads one transaction mode; a choice of -1 is none.
func (r *reader) mode() (kind, choice int) {
	switch {
	case r.takes("isolation"):
		if r.takes("level") {
			return 0, r.level()
		}
	case r.takes("read"):
		return 1, r.choose("write", "only")
	case r.takes("deferrable"):
		return 2, 1
	case r.takes("not"):
		if r.takes("deferrable") {
			return 2, 2
		}
	}
	return 0, -1
}

// level reads the name of an isolation level; -1 is none.
func (r *reader) level() int {
	switch {
	case r.takes("serializable"):
		return 4
	case r.takes("repeatable"):
		if r.takes("read") {
			return 3
		}
	case r.takes("read"):
		return r.choose("uncommitted", "committed")
	}
	return -1
}

// choose reads one of two words.
func (r *reader) choose(one, two string) int {
	switch {
	case r.takes(one):
		return 1
	case r.takes(two):
		return 2
	}
	return -1
}

// endTransaction reads COMMIT, END, ROLLBACK and ABORT.
func (r *reader) endTransaction(word token) {
	c := commandCommit
	if word.is("rollback") || word.is("abort") {
		c = commandRollback
	} else {
		r.effects |= mayCommit
	}
	r.effects |= marksPlace // ROLLBACK TO
	r.step()
	if !r.takes("work") {
		r.takes("transaction")
	}
	if c == commandRollback && r.last.is("to") {
		r.command = commandRollbackTo
		return
	}
	if c == commandRollback {
		r.effects |= rollsBack
	}
	var options txOptions
	if r.takes("and") {
		if !r.takes("no") {
			options = txChain
		}
		if !r.takes("chain") {
			return
		}
	}
	if r.over() {
		r.command, r.options = c, options
		r.effects &^= marksPlace
	}
}

// tag returns what PostgreSQL says when it has done the command.
func (r *reading) tag() string {
	switch r.command {
	case commandBegin:
		if r.options&txStart != 0 {
			return "START TRANSACTION"
		}
		return "BEGIN"
	case commandCommit:
		return "COMMIT"
	case commandRollback:
		return "ROLLBACK"
	case commandDiscardAll:
		return "DISCARD ALL"
	case commandResetAll:
		return "RESET"
	case commandDeallocate:
		return "DEALLOCATE"
	case commandDeallocateAll:
		return "DEALLOCATE ALL"
	case commandCloseAll:
		return "CLOSE CURSOR ALL"
	case commandUnlisten, commandUnlistenAll:
		return "UNLISTEN"
	case commandListen:
		return "LISTEN"
	case commandSetTransaction:
		return "SET"
	}
	panic("router: a command that is never answered by us")
}

// unlock notes whether what begins with BEGIN, START, SET or RESET may have a READ ONLY
// transaction write. Of a setting it may whatever its value is.
func (r *reader) unlock() {
	l := r.lexer
	t := l.next()
	if r.last.is("set") || r.last.is("reset") {
		if t.is("session") || t.is("local") {
			t = l.next()
		}
		if !t.is("transaction") {
			if setsAccess(t) {
				r.effects |= unlocks
			}
			return
		}
	}
	for before := t; t.kind != tokenEnd && t.kind != tokenBroken && !t.symbol(';'); before, t = t, l.next() {
		if before.is("read") && t.is("write") {
			r.effects |= unlocks
		}
	}
}

// setsAccess reports whether the name of a setting is, or may be, that of the
// transaction's access mode.
func setsAccess(name token) bool {
	if name.kind != tokenWord && name.kind != tokenQuoted {
		return false
	}
	r := reader{last: name}
	text, ok := r.identifier()
	return !ok || strings.EqualFold(text, "transaction_read_only")
}

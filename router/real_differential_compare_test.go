package router_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"howdah/wire"
)

// twin is one client of the differential tester with its two connections.
type twin struct {
	direct, through *line
	otherSchemas    bool // the program changes the schemas that names are looked up in
}

// play plays a program on both connections.
func (a *arena) play(p program) *difference {
	direct, err := dialLine(a.house, a.house.Address(), mirrorDatabase, p.login, a.patience)
	through, errThrough := dialLine(a.house, a.door.address, "acme", p.login, a.patience)
	if err == nil {
		defer direct.leave()
	}
	if errThrough == nil {
		defer through.leave()
	}
	if err != nil || errThrough != nil {
		if sameRefusal(err, errThrough) {
			return nil
		}
		return &difference{program: p, at: -1, reason: fmt.Sprintf("login: PostgreSQL %v, Howdah %v", err, errThrough)}
	}
	if r := tellsApart(direct.told, through.told); r != "" {
		return &difference{program: p, at: -1, reason: "login: " + r}
	}
	w := &twin{direct: direct, through: through, otherSchemas: otherSchemas.MatchString(fmt.Sprint(p))}
	direct.exchange(emptied(p))
	through.exchange(emptied(p))
	for i, s := range p.steps {
		if err := a.disturber.turn(i); err != nil {
			return &difference{program: p, at: i, reason: fmt.Sprintf("the disturbing client: %v", err)}
		}
		d := &difference{program: p, at: i, direct: direct.exchange(s), through: through.exchange(s)}
		a.tally.count(d.direct)
		if d.reason = w.compare(d.direct, d.through); d.reason == partings {
			return nil
		} else if d.reason != "" {
			return d
		}
		if n := len(d.direct); n > 0 && d.direct[n-1].typ == lost {
			if n == 1 || fields(d.direct[n-2].body)['S'] != "FATAL" {
				d.reason = "neither answers"
				return d
			}
			return nil
		}
	}
	return nil
}

func sameRefusal(direct, through error) bool {
	var d, t *wire.Error
	return errors.As(direct, &d) && errors.As(through, &t) && *d == *t
}

// compare returns the first difference that is not allowed. Each allowance has
// its entry in testdata/differential/allowed.md.
func (w *twin) compare(direct, through []reply) string {
	direct, through = announced(notificationsLast(direct)), announced(notificationsLast(through))
	for i, d := range direct {
		if i == len(through) {
			return fmt.Sprintf("reply %d is missing", i)
		}
		if tooLate(through[i]) != tooLate(d) || onlyOne(d, through[i]) || isElsewhere(d, through[i]) {
			return partings
		}
		if r := w.differs(d, through[i]); r != "" {
			return fmt.Sprintf("reply %d: %s", i, r)
		}
	}
	if len(through) > len(direct) {
		return fmt.Sprintf("reply %d is too much", len(direct))
	}
	return ""
}

// partings is where a program is not followed any further.
const partings = "allowed, but the two are in different states now"

// tooLate reports whether a reply refuses to change the mode of a transaction
// that has a snapshot already.
func tooLate(r reply) bool {
	return r.typ == 'E' && mustComeFirst.MatchString(fields(r.body)['M'])
}

// onlyOne reports whether one of the two refuses a command for the pipeline that
// it is in, or Howdah one that names a statement twice over.
func onlyOne(d, t reply) bool {
	return d.typ == 'E' && t.typ == 'C' && inPipeline.MatchString(fields(d.body)['M']) ||
		d.typ == 'C' && t.typ == 'E' && inPipeline.MatchString(fields(t.body)['M']) ||
		d.typ == 'C' && string(d.body) == "DEALLOCATE\x00" && t.typ == 'E' && fields(t.body)['C'] == "26000"
}

// isElsewhere reports whether Howdah cannot describe a statement that another
// server knows: this one's transaction has failed.
func isElsewhere(d, t reply) bool {
	return d.typ == 't' && t.typ == 'E' && fields(t.body)['C'] == "25P02"
}

var mustComeFirst = regexp.MustCompile(`must be (called|set) before any query$`)

// announced takes off a ParameterDescription with an error behind it, and a
// BindComplete with a division by zero behind it.
func announced(replies []reply) (kept []reply) {
	for i, r := range replies {
		fails := i+1 < len(replies) && replies[i+1].typ == 'E'
		if fails && (r.typ == 't' || r.typ == '2' && fields(replies[i+1].body)['C'] == "22012") {
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// notificationsLast puts notifications directly before the next ReadyForQuery.
func notificationsLast(replies []reply) (sorted []reply) {
	var late []reply
	for _, r := range replies {
		if r.typ == 'A' {
			late = append(late, r)
			continue
		}
		if r.typ == 'Z' {
			sorted, late = append(sorted, late...), nil
		}
		sorted = append(sorted, r)
	}
	return append(sorted, late...)
}

func (w *twin) differs(d, t reply) string {
	d.body = bytes.ReplaceAll(d.body, []byte(`database "mirror"`), []byte(`database "acme"`))
	if d.typ != t.typ {
		return fmt.Sprintf("%c, not %c", t.typ, d.typ)
	}
	if d.typ == 'Z' {
		if r := tellsApart(d.told, t.told); r != "" {
			return r
		}
	}
	if d.typ == lost || bytes.Equal(d.body, t.body) {
		return ""
	}
	switch d.typ {
	case 'E', 'N':
		return differingFields(d.body, t.body)
	case 'T':
		if slices.Equal(columns(d.body), columns(t.body)) {
			return ""
		}
	case 'A':
		if w.notification(w.direct, d.body) == w.notification(w.through, t.body) {
			return ""
		}
	case 'D':
		if w.otherSchemas {
			d.body, t.body = dayOrMonth(d.body), dayOrMonth(t.body)
		}
		return differingValues(d.body, t.body)
	}
	return fmt.Sprintf("message %c differs", d.typ)
}

// A grammar asks for settings that may have never been set with this text in
// front of their value, so that no other null is taken for ”.
var (
	isNull  = []byte("\x00\x00\x00\x06unset:\xff\xff\xff\xff")
	isEmpty = []byte("\x00\x00\x00\x06unset:\x00\x00\x00\x00")
)

func differingValues(direct, through []byte) string {
	if bytes.Equal(bytes.ReplaceAll(direct, isNull, isEmpty), bytes.ReplaceAll(through, isNull, isEmpty)) {
		return ""
	}
	d, t := values(direct), values(through)
	for i := range min(len(d), len(t)) {
		if d[i] != t[i] {
			return fmt.Sprintf("value %d is %s, not %s", i, t[i], d[i])
		}
	}
	return fmt.Sprintf("%d values, not %d", len(t), len(d))
}

// dayOrMonth makes the two readings of the grammar's date one.
func dayOrMonth(row []byte) []byte {
	return swapped.ReplaceAllFunc(row, func(date []byte) []byte { return bytes.ReplaceAll(date, []byte("02"), []byte("01")) })
}

var swapped = regexp.MustCompile(`0[12][-/.]0[12][-/.]2020|2020-0[12]-0[12]`)

// tellsApart compares what the clients have been told; how often, and in which
// order, is no difference.
func tellsApart(direct, through map[string]string) string {
	if maps.Equal(direct, through) {
		return ""
	}
	var differ []string
	for name := range direct {
		if direct[name] != through[name] {
			differ = append(differ, fmt.Sprintf("%s: PostgreSQL told %q, Howdah %q", name, direct[name], through[name]))
		}
	}
	for name := range through {
		if _, ok := direct[name]; !ok {
			differ = append(differ, fmt.Sprintf("%s: only Howdah told it, %q", name, through[name]))
		}
	}
	slices.Sort(differ)
	return "ParameterStatus " + strings.Join(differ, "; ")
}

var otherSchemas = regexp.MustCompile(`(?i)temp|search_path`)

// ownErrors are the codes of errors that the router makes in PostgreSQL's
// place, without the lines of its source, or that PostgreSQL makes in another
// line because a statement had to be prepared again.
var ownErrors = map[string]bool{
	"25P02": true, "26000": true, "42P05": true, "34000": true, "42P03": true, "25001": true, "25P01": true, "08P01": true,
	"55000": true, "0A000": true,
}

// otherRefusal are errors of PostgreSQL's in whose place Howdah may have others.
var otherRefusal = map[[2]string]bool{
	{"08P01", "25P02"}: true, {"42601", "25P02"}: true, {"42P05", "25P02"}: true, // the server does not know the statement
	{"08P01", "42P01"}: true, {"42601", "42P01"}: true, {"22P02", "42P01"}: true, {"22003", "42P01"}: true, {"42P03", "42P01"}: true, // it cannot be prepared any more
	{"42P01", "25001"}: true, {"25001", "42P01"}: true, // VACUUM of nothing, in a pipeline
	{"42704", "25001"}: true, {"25001", "42704"}: true, // no such prepared transaction, and none may be committed in a pipeline
	{"54001", "26000"}: true, // a statement that executes itself
}

// noTempObject are what 3F000 for pg_temp becomes on a server that once had a
// temporary object: its schema stays, empty.
var noTempObject = map[string]bool{"42883": true, "42P01": true, "42704": true}

// noTempSchema reports whether an error says that there is no schema for
// temporary objects, and the other what PostgreSQL says where there is one.
func noTempSchema(d, t map[byte]string) bool {
	return d['C'] == "3F000" && d['M'] == `schema "pg_temp" does not exist` && noTempObject[t['C']] ||
		strings.HasPrefix(d['M'], "permission denied to create temporary tables") && t['M'] == "permission denied for schema pg_temp"
}

// inPipeline is why some commands are refused: more than one reason holds where
// messages of Howdah's stand in front.
var inPipeline = regexp.MustCompile(`within a pipeline$|from a function$`)

// wordsApart are names of statements, of which one text may have two, and the type
// of a message that came where data were to come: it may be one of Howdah's.
var wordsApart = regexp.MustCompile(`prepared statement "[^"]*"|unexpected message type 0x\w+`)

var tempSchema = regexp.MustCompile(`pg_(toast_)?temp_\d+`)

func differingFields(direct, through []byte) string {
	d, t := fields(direct), fields(through)
	if noTempSchema(d, t) || noTempSchema(t, d) {
		return ""
	}
	if d['C'] == "25001" && t['C'] == "25001" && inPipeline.ReplaceAllString(d['M'], "") == inPipeline.ReplaceAllString(t['M'], "") {
		return ""
	}
	if d['C'] == "08P01" && t['C'] == "08P01" && wordsApart.ReplaceAllString(d['M'], "") == wordsApart.ReplaceAllString(t['M'], "") {
		return ""
	}
	if otherRefusal[[2]string{d['C'], t['C']}] {
		return ""
	}
	for _, f := range []byte("SVCMDHPpqWstcdnFLR") {
		if strings.IndexByte("FLR", f) >= 0 && ownErrors[t['C']] {
			continue
		}
		if d[f] != t[f] {
			return fmt.Sprintf("field %c is %q, not %q", f, t[f], d[f])
		}
	}
	return ""
}

func fields(body []byte) map[byte]string {
	all := map[byte]string{}
	for _, f := range strings.Split(string(body), "\x00") {
		if f != "" {
			all[f[0]] = tempSchema.ReplaceAllString(f[1:], "pg_temp")
		}
	}
	return all
}

// firstUserOID is the first OID of what is not PostgreSQL's own.
const firstUserOID = 16384

// columns returns the fields of a RowDescription. Tables have other OIDs in the
// two databases.
func columns(body []byte) (columns []string) {
	for body = body[2:]; len(body) > 0; {
		end := bytes.IndexByte(body, 0)
		table := min(binary.BigEndian.Uint32(body[end+1:]), firstUserOID)
		columns = append(columns, fmt.Sprintf("%s %x of %d", body[:end], body[end+5:end+19], table))
		body = body[end+19:]
	}
	return columns
}

// notification puts a NotificationResponse in words; only whether it came from
// the client itself is known of the sender.
func (*twin) notification(l *line, body []byte) string {
	own := binary.BigEndian.Uint32(body) == l.pid
	return fmt.Sprintf("%v %q", own, body[4:])
}

package provision

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"
)

// Names of databases that are no live tenant: Howdah's own, by the job or the
// number that made them.
const (
	prefixNew  = "howdah_new_"  // being made
	prefixWarm = "howdah_warm_" // made in advance
	prefixDrop = "howdah_drop_" // dropped and held
)

// maxName is NAMEDATALEN - 1: what is longer PostgreSQL cuts off without an error.
const maxName = 63

var (
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	jobForm  = regexp.MustCompile(`^[0-9a-z][0-9a-z_-]{0,49}$`)
)

// ValidName says why name can be no tenant's, database's or role's name. SQL
// allows more, but such a name goes through configuration files, URLs, shells
// and file names too: small letters, digits, _ . and - it is, from a letter or
// digit on, at most 63 bytes, and none that PostgreSQL, PgBouncer or Howdah
// keeps for itself.
func ValidName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty")
	case len(name) > maxName:
		return fmt.Errorf("the name has %d bytes, %d more than PostgreSQL keeps", len(name), len(name)-maxName)
	}
	for i, r := range name {
		if err := validRune(name, i, r); err != nil {
			return err
		}
	}
	switch name {
	case "postgres", "template0", "template1", "howdah", "pgbouncer", "public", "none":
		return fmt.Errorf("the name %q is reserved", name)
	}
	for _, prefix := range []string{"howdah_", "pg_"} {
		if strings.HasPrefix(name, prefix) {
			return fmt.Errorf("the name %q is reserved: it begins with %q", name, prefix)
		}
	}
	return nil
}

func validRune(name string, i int, r rune) error {
	switch {
	case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
		return nil
	case r == '_' || r == '.' || r == '-':
		if i == 0 {
			return fmt.Errorf("the name %q begins with %q: it must begin with a letter or a digit", name, r)
		}
		return nil
	case unicode.IsControl(r):
		return fmt.Errorf("the name %q has a control character", name)
	case 'A' <= r && r <= 'Z':
		return fmt.Errorf("the name %q has the capital letter %q: only small ones are allowed", name, r)
	}
	return fmt.Errorf("the name %q has the character %q: allowed are a to z, 0 to 9, _ . and -", name, r)
}

// checkNames checks names by what they are for: pairs of a word and a name.
func checkNames(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := ValidName(pairs[i+1]); err != nil {
			return fmt.Errorf("%s: %w", pairs[i], err)
		}
	}
	return nil
}

func checkID(id string) error {
	if !uuidForm.MatchString(id) {
		return fmt.Errorf("the tenant's id %q is no UUID in small letters", id)
	}
	return nil
}

func checkJob(id string) error {
	if !jobForm.MatchString(id) {
		return fmt.Errorf("the job's id %q must be 1 to 50 of a to z, 0 to 9, _ and -, from a letter or digit on", id)
	}
	return nil
}

// quote makes an SQL identifier of a name.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal makes an SQL string constant that is the same whatever
// standard_conforming_strings says.
func literal(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// What the comment on a database says after the tenant's id. Nothing: it lives.
const (
	stateLive      = ""
	statePrepared  = "prepared"  // being made; what is not the owner's is in it
	stateReceiving = "receiving" // being filled by its owner to be, before it is the owner's
	stateArrived   = "arrived"   // the owner's, closed until it is admitted
	stateSuspended = "suspended" // closed until it is resumed; then, while superusers are let in, the limit of connections it had
	stateHeld      = "held"      // dropped, not yet purged; then the name it had, and its owner's OID
	stateWarm      = "warm"      // made in advance; then what it was made of
)

// mark is the comment by which Howdah knows its databases and roles:
// howdah:<id>[ <state>[ <detail>[ <owner>]]]. The zero mark is on what is not Howdah's.
type mark struct{ id, state, detail, owner string }

func parseMark(comment string) mark {
	rest, ours := strings.CutPrefix(comment, "howdah:")
	words := strings.Fields(rest)
	if !ours || len(words) == 0 {
		return mark{}
	}
	words = append(words, "", "", "")
	return mark{words[0], words[1], words[2], words[3]}
}

// of reports whether the mark is a live tenant's, open or suspended.
func (m mark) of(id string) bool {
	return m.id == id && (m.state == stateLive || m.state == stateSuspended)
}

func (m mark) String() string {
	return strings.TrimRight("howdah:"+m.id+" "+m.state+" "+m.detail+" "+m.owner, " ")
}

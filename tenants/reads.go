package tenants

import (
	"strings"
	"time"
)

// Reads says which of a tenant's transactions may run at standbys, and what they
// must see there. None does that says READ WRITE, or begins with a statement that
// means something else at a standby.
type Reads struct {
	Split string // SplitDeclared, SplitAuto or SplitOff

	// Whose transactions count as if they said READ ONLY: those of users and of
	// applications, a * at the end of a name standing for anything, and those that
	// begin with one of the statements, whatever its literals are.
	Users, Applications, Statements []string

	SessionAttrs SessionAttrs  // of clients that do not ask for others
	OwnWrites    string        // OfTenant or OfSession: whose writes a session must see
	Timeout      time.Duration // of a transaction at a standby; 0 = no limit
}

// What Reads.Split can be: transactions that say READ ONLY go to standbys, also
// statements that a parser finds to be reading, or nothing does.
const (
	SplitDeclared = "declared"
	SplitAuto     = "auto"
	SplitOff      = "off"
)

// What Cluster.Writers can be: nobody writes past this Howdah, or others do too, and
// a read must find what was committed before it came.
const (
	HowdahWriters   = "howdah"
	ExternalWriters = "external"
)

// What Reads.OwnWrites can be.
const (
	OfTenant  = "tenant"
	OfSession = "session"
)

// SessionAttrs is what a client wants of its servers, in the words of libpq's
// target_session_attrs.
type SessionAttrs string

// The kinds of sessions. What a client asks for is asked of Howdah and not of one
// server: with Standby and ReadOnly its transactions read only, and where no
// standby can serve them the primary does.
const (
	AnySession    SessionAttrs = "any"
	ReadWrite     SessionAttrs = "read-write"
	OnlyPrimary   SessionAttrs = "primary"
	PreferStandby SessionAttrs = "prefer-standby"
	OnlyStandby   SessionAttrs = "standby"
	ReadOnly      SessionAttrs = "read-only"
)

// AllSessionAttrs returns the words.
func AllSessionAttrs() []string {
	return []string{string(AnySession), string(ReadWrite), string(OnlyPrimary), string(PreferStandby), string(OnlyStandby), string(ReadOnly)}
}

// Reading reports whether all transactions of such a session are taken for reading.
func (a SessionAttrs) Reading() bool { return a == PreferStandby || a.ReadsOnly() }

// ReadsOnly reports whether such a session cannot write.
func (a SessionAttrs) ReadsOnly() bool { return a == OnlyStandby || a == ReadOnly }

// Writing reports whether such a session's transactions belong to the primary.
func (a SessionAttrs) Writing() bool { return a == ReadWrite || a == OnlyPrimary }

// Named reports whether one of the names, or of those that they stand for with a *
// at their end, is name.
func Named(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
		if start, ok := strings.CutSuffix(n, "*"); ok && strings.HasPrefix(name, start) {
			return true
		}
	}
	return false
}

package hba

import (
	"net/netip"
	"regexp"
	"slices"
)

// Method is a way to prove who one is.
type Method uint8

// The methods, in PostgreSQL's words.
const (
	Reject   Method = iota // no way at all
	Trust                  // everyone is believed
	Scram                  // scram-sha-256
	MD5                    // md5, or scram-sha-256 where the verifier is one of it
	Password               // the password itself, over TLS or a Unix socket
	Cert                   // a client certificate in the user's name
	Peer                   // the operating system's word for the other end of a Unix socket
)

// String returns the method as rules have it.
func (m Method) String() string {
	return [...]string{"reject", "trust", "scram-sha-256", "md5", "password", "cert", "peer"}[m]
}

func parseMethod(word string) (Method, bool) {
	for m := Reject; m <= Peer; m++ {
		if m.String() == word {
			return m, true
		}
	}
	return Reject, false
}

// CertCheck is what a rule wants of a client certificate beside its method.
type CertCheck uint8

// What may be wanted of a client certificate.
const (
	NoCert     CertCheck = iota
	VerifyCA             // one that the configured authorities have signed
	VerifyFull           // and whose common name may be the user
)

// Connection is what rules judge a client by.
type Connection struct {
	Local       bool       // by Unix socket
	TLS         bool       // by TCP
	Address     netip.Addr // by TCP: the client's, behind a proxy that which the proxy tells
	Database    string     // the name the client asked for
	Aliases     []string   // the database's other names
	User        string
	Replication bool // physical replication, which is of no database
}

// Rule is one line of the file. Do not change it.
type Rule struct {
	File       string
	Line       int
	Method     Method
	Map        string // of names that are not users; "" = they must be the user's
	ClientCert CertCheck

	local     bool
	tls, bare bool // connections by TCP with TLS, without
	networks  []netip.Prefix
	everyNet  bool
	databases names
	users     names
}

// OverTCP reports whether the rule is for clients on TCP.
func (r *Rule) OverTCP() bool { return !r.local }

// NeedsTLS reports whether the rule matches no client without TLS.
func (r *Rule) NeedsTLS() bool { return r.tls && !r.bare }

// names is a field of databases or users.
type names struct {
	all, same, replication bool // the keywords
	literal                map[string]bool
	patterns               []*regexp.Regexp
}

func (n *names) has(name string) bool {
	if n.all || n.literal[name] {
		return true
	}
	for _, p := range n.patterns {
		if p.MatchString(name) {
			return true
		}
	}
	return false
}

// Rules are a file's rules in order. They are safe for concurrent use.
type Rules struct{ list []*Rule }

// All returns the rules in the file's order; do not change them.
func (r *Rules) All() []*Rule { return r.list }

// Match returns the first rule that c fits, nil where none does: then c is to
// be refused.
func (r *Rules) Match(c *Connection) *Rule {
	for _, rule := range r.list {
		if rule.fits(c) {
			return rule
		}
	}
	return nil
}

func (r *Rule) fits(c *Connection) bool {
	if r.local != c.Local {
		return false
	}
	if !c.Local && (c.TLS && !r.tls || !c.TLS && !r.bare || !r.reaches(c.Address)) {
		return false
	}
	return r.fitsDatabase(c) && r.users.has(c.User)
}

func (r *Rule) reaches(a netip.Addr) bool {
	if r.everyNet {
		return true
	}
	a = a.Unmap().WithZone("")
	for _, n := range r.networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// fitsDatabase knows that physical replication is of no database: only the
// keyword stands for it.
func (r *Rule) fitsDatabase(c *Connection) bool {
	if c.Replication {
		return r.databases.replication
	}
	return r.databases.has(c.Database) || r.databases.same && c.Database == c.User || slices.ContainsFunc(c.Aliases, r.databases.has)
}

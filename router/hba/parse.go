package hba

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
)

// Read reads the rules in the file at path. With mistakes there are no rules.
func Read(path string) (*Rules, []Mistake) {
	text, err := readFile(path)
	if err != nil {
		return nil, []Mistake{{path, 0, fmt.Sprintf("cannot be read: %v", err), "write the path of a file that can be read"}}
	}
	return Parse(path, text, readFile)
}

// Parse is Read for a text that stands in the file at path; open reads the
// files of names that it refers to.
func Parse(path, text string, open func(path string) (string, error)) (*Rules, []Mistake) {
	r := &reader{file: path, open: open}
	rules := &Rules{}
	for _, l := range r.lines(text) {
		before := len(r.mistakes)
		rule := r.rule(l)
		if len(r.mistakes) == before {
			rules.list = append(rules.list, rule)
		}
	}
	if len(rules.list) == 0 && len(r.mistakes) == 0 {
		r.wrong(0, "write a rule such as: host all all 127.0.0.1/32 scram-sha-256", "there is no rule, so nobody could log in")
	}
	if len(r.mistakes) > 0 {
		return nil, r.mistakes
	}
	return rules, nil
}

// rule makes a rule of a line and notes what is wrong with it.
func (r *reader) rule(l line) *Rule {
	rule := &Rule{File: r.file, Line: l.number}
	fields, ok := r.kind(rule, l)
	if !ok {
		return nil
	}
	if len(fields) < 3 || !rule.local && len(fields) < 4 {
		want := "type database user address method"
		if rule.local {
			want = "local database user method"
		}
		r.wrong(l.number, "write: "+want, "the line ends too early")
		return nil
	}
	r.databaseNames(rule, l.number, fields[0])
	rule.users = r.nameList(l.number, "user", fields[1])
	fields = fields[2:]
	if !rule.local {
		if fields, ok = r.address(rule, l.number, fields); !ok {
			return nil
		}
	}
	if !r.method(rule, l.number, fields[0]) {
		return nil
	}
	for _, f := range fields[1:] {
		for _, t := range f {
			r.option(rule, l.number, t.text)
		}
	}
	r.checkMethod(rule, l.number)
	return rule
}

// kind reads the first field and returns the others.
func (r *reader) kind(rule *Rule, l line) ([][]token, bool) {
	first := one(l.fields[0])
	switch first.text {
	case "local":
		rule.local = true
	case "host", "hostnogssenc": // GSS encryption is never spoken
		rule.tls, rule.bare = true, true
	case "hostssl":
		rule.tls = true
	case "hostnossl":
		rule.bare = true
	case "hostgssenc":
		r.wrong(l.number, "write hostssl", "hostgssenc: Howdah has no GSSAPI encryption")
		return nil, false
	case "include", "include_if_exists", "include_dir":
		r.wrong(l.number, "put the rules into this file", "%s is not supported", first.text)
		return nil, false
	default:
		r.wrong(l.number, "write local, host, hostssl or hostnossl", "unknown connection type %q", joined(l.fields[0]))
		return nil, false
	}
	return l.fields[1:], true
}

// one returns the word of a field that has just one, else an impossible one.
func one(field []token) token {
	if len(field) == 1 {
		return field[0]
	}
	return token{quoted: true}
}

func joined(field []token) string {
	var words []string
	for _, t := range field {
		words = append(words, t.text)
	}
	return strings.Join(words, ",")
}

func (r *reader) databaseNames(rule *Rule, number int, field []token) {
	var rest []token
	for _, t := range field {
		switch {
		case t.is("sameuser"):
			rule.databases.same = true
		case t.is("replication"):
			rule.databases.replication = true
		case t.is("samerole"), t.is("samegroup"):
			r.wrong(number, "write the names of databases, or sameuser", "%s: Howdah does not know who is a member of a role", t.text)
		default:
			rest = append(rest, t)
		}
	}
	same, replication := rule.databases.same, rule.databases.replication
	rule.databases = r.nameList(number, "database", rest)
	rule.databases.same, rule.databases.replication = same, replication
}

// nameList reads names, all and regular expressions.
func (r *reader) nameList(number int, noun string, field []token) names {
	n := names{literal: make(map[string]bool)}
	for _, t := range field {
		switch {
		case t.is("all"):
			n.all = true
		case !t.quoted && strings.HasPrefix(t.text, "+"):
			r.wrong(number, "write the names of users, or a file of them as @file", "%s %q: Howdah does not know who is a member of a role", noun, t.text)
		case strings.HasPrefix(t.text, "/"): // quoted too, or it could have no comma
			if p := r.pattern(number, t.text[1:]); p != nil {
				n.patterns = append(n.patterns, p)
			}
		default:
			n.literal[t.text] = true
		}
	}
	return n
}

func (r *reader) pattern(number int, text string) *regexp.Regexp {
	p, err := regexp.Compile(text)
	if err != nil {
		r.wrong(number, "write it in Go's syntax (RE2)", "regular expression %q: %v", text, err)
	}
	return p
}

// address reads an address with its width, or an address and a mask.
func (r *reader) address(rule *Rule, number int, fields [][]token) ([][]token, bool) {
	t, rest := one(fields[0]), fields[1:]
	switch {
	case t.is("all"):
		rule.everyNet = true
		return rest, true
	case t.is("samehost"), t.is("samenet"):
		r.wrong(number, "write the network such as 10.0.0.0/8", "%s is not supported", t.text)
		return nil, false
	}
	if strings.Contains(t.text, "/") {
		p, err := netip.ParsePrefix(t.text)
		if err != nil || p.Addr().Is4In6() {
			r.wrong(number, "write a network such as 10.0.0.0/8 or fd00::/8", "%q is no network", t.text)
			return nil, false
		}
		rule.networks = []netip.Prefix{p.Masked()}
		return rest, true
	}
	a, err := netip.ParseAddr(t.text)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		r.wrong(number, "write a network such as 10.0.0.0/8", "%q is no address, and host names are not looked up", joined(fields[0]))
		return nil, false
	}
	if len(rest) < 2 {
		r.wrong(number, fmt.Sprintf("write %s/%d, or a mask behind it", a, a.BitLen()), "address %q has neither a width nor a mask", t.text)
		return nil, false
	}
	bits := maskBits(one(rest[0]).text, a)
	if bits < 0 {
		r.wrong(number, fmt.Sprintf("write %s/%d, or a mask behind it", a, a.BitLen()), "%q is no mask for address %q", joined(rest[0]), t.text)
		return nil, false
	}
	rule.networks = []netip.Prefix{netip.PrefixFrom(a, bits).Masked()}
	return rest[1:], true
}

// maskBits returns the width of a mask of a's family, -1 if it is none.
func maskBits(text string, a netip.Addr) int {
	mask, err := netip.ParseAddr(text)
	if err != nil || mask.BitLen() != a.BitLen() || mask.Zone() != "" {
		return -1
	}
	ones, bits := net.IPMask(mask.AsSlice()).Size()
	if bits == 0 {
		return -1 // not of the form 1…10…0
	}
	return ones
}

func (r *reader) method(rule *Rule, number int, field []token) (ok bool) {
	word := one(field).text
	if rule.Method, ok = parseMethod(word); ok {
		return true
	}
	if strings.Contains(" gss sspi ident ldap radius pam bsd oauth ", " "+word+" ") {
		r.wrong(number, "write scram-sha-256, cert or peer", "method %s is not supported", word)
	} else {
		r.wrong(number, "write trust, reject, scram-sha-256, md5, password, cert or peer", "unknown method %q", joined(field))
	}
	return false
}

func (r *reader) option(rule *Rule, number int, text string) {
	name, value, ok := strings.Cut(text, "=")
	switch {
	case !ok:
		r.wrong(number, "write name=value, or remove it", "%q is no option", text)
	case name == "map" && value != "":
		rule.Map = value
	case name == "clientcert" && value == "verify-ca":
		rule.ClientCert = VerifyCA
	case name == "clientcert" && value == "verify-full":
		rule.ClientCert = VerifyFull
	case name == "clientcert":
		r.wrong(number, "write clientcert=verify-ca or clientcert=verify-full", "clientcert is %q", value)
	case name == "clientname" && value == "CN": // what is compared anyway
	case name == "clientname":
		r.wrong(number, "write clientname=CN, or leave it out", "clientname is %q, and only the common name is compared", value)
	default:
		r.wrong(number, "write map= or clientcert=, or remove it", "unknown option %q", name+"=") // what stands behind may be a password
	}
}

// checkMethod notes what does not go with the rule's method.
func (r *reader) checkMethod(rule *Rule, number int) {
	byName := rule.Method == Cert || rule.Method == Peer
	switch {
	case rule.Method == Peer && !rule.local:
		r.wrong(number, "write local, or another method", "peer knows the users of Unix sockets only")
	case rule.Method == Cert && !rule.NeedsTLS():
		r.wrong(number, "write hostssl", "cert needs TLS")
	case rule.Method == Password && rule.bare && !rule.tls:
		r.wrong(number, "write hostssl, or scram-sha-256", "password would go over the network in clear text")
	case rule.ClientCert != NoCert && !rule.NeedsTLS():
		r.wrong(number, "write hostssl", "clientcert needs TLS")
	case rule.Method == Cert && rule.ClientCert == VerifyCA:
		r.wrong(number, "leave clientcert out", "cert always compares the name, which verify-ca would not")
	case rule.Map != "" && !byName && rule.ClientCert != VerifyFull:
		r.wrong(number, "remove it", "map is for cert, peer and clientcert=verify-full")
	}
}

package router

import (
	"fmt"
	"slices"
	"strings"

	"howdah/tenants"
	"howdah/wire"
)

// What says that a transaction may run at a standby: the transaction itself, its
// session, or its tenant's rules. What is said is a candidate only: see standby.go.

// reads is what a tenant's settings say of a route's transactions.
type reads struct {
	tenants.Reads
	byUser bool            // all of the route's may
	shapes map[string]bool // so may those that begin with a statement of one of these shapes
}

// setReads brings the route to what its tenant's settings say.
func (r *route) setReads(t *tenants.Tenant) {
	r.reads = reads{Reads: t.Reads, byUser: tenants.Named(t.Reads.Users, r.key.user)}
	for _, text := range t.Reads.Statements {
		if shape, ok := appendSkeleton(nil, []byte(text), true); ok {
			if r.reads.shapes == nil {
				r.reads.shapes = map[string]bool{}
			}
			r.reads.shapes[string(shape)] = true
		}
	}
}

// CheckStatement reports what keeps a text from being one of the statements of
// tenants.Reads.
func CheckStatement(text string) error {
	if _, ok := appendSkeleton(nil, []byte(text), true); !ok {
		return fmt.Errorf("%q is no SELECT, WITH, VALUES, TABLE or DECLARE, or longer than %d bytes without its literals", shortened(text), maxSkeleton)
	}
	if !meansSame([]byte(text), conformingVars) {
		return fmt.Errorf("%q writes, locks, or means something else at a standby", shortened(text))
	}
	return nil
}

// conformingVars are settings under which texts are read as by default.
var conformingVars = &vars{conforming: true, readable: true}

func shortened(text string) string {
	if len(text) > 60 {
		return text[:60] + "…"
	}
	return text
}

// saidToRead reports whether a transaction that begins with text is said to read
// only.
func (c *client) saidToRead(text []byte) bool {
	if c.deferred.readOnly() {
		return true
	}
	r := &c.route.reads
	if c.vars.readsOnly || c.attrs.Reading() || r.byUser || asksForStandby(text) {
		return true
	}
	if len(r.Applications) > 0 {
		if name, _ := c.vars.value("application_name"); tenants.Named(r.Applications, name) {
			return true
		}
	}
	if len(r.shapes) == 0 || !c.vars.readable && !ascii(text) {
		return false
	}
	shape, ok := appendSkeleton(c.w.skeleton[:0], text, c.vars.conforming)
	c.w.skeleton = shape[:0]
	return ok && r.shapes[string(shape)]
}

// dumps reports whether the client is a pg_dump: a standby may cancel it in the
// middle of a table, when there is no way back.
func (c *client) dumps() bool {
	if !c.vars.dumps {
		return false
	}
	name, _ := c.vars.value("application_name")
	return !tenants.Named(c.route.reads.Applications, name)
}

// sessionAttrs is the startup parameter, and what it is called in options, by which
// a client says what it wants of its servers.
const sessionAttrs = "target_session_attrs"

// settleAttrs decides what the session is: what the client asks for, or what its
// tenant's sessions are.
func (l *login) settleAttrs() error {
	start := l.accepted.Startup
	l.attrs = l.tenant.Reads.SessionAttrs
	given := startupSettings(start.Parameters)
	for _, p := range given {
		if p.Name != sessionAttrs {
			continue
		}
		if !slices.Contains(tenants.AllSessionAttrs(), p.Value) {
			return wire.Fatal(wire.CodeInvalidParameter, fmt.Sprintf("%s is %q, which is none of its values", sessionAttrs, p.Value),
				"Write one of "+strings.Join(tenants.AllSessionAttrs(), ", ")+".")
		}
		l.attrs = tenants.SessionAttrs(p.Value)
	}
	const name = "default_transaction_read_only"
	if l.attrs.ReadsOnly() && !slices.ContainsFunc(given, func(p wire.Parameter) bool { return p.Name == name }) {
		start.Parameters = append(start.Parameters, wire.Parameter{Name: name, Value: "on"})
	}
	return nil
}

// posesAsStandby reports whether clients are told that they are at a standby: libpq
// would look for another server otherwise.
func posesAsStandby(a tenants.SessionAttrs) bool {
	return a == tenants.OnlyStandby || a == tenants.PreferStandby
}

// Package pool keeps server connections for clients to take turns on.
//
// A Pool holds the connections of one (member, database, user). It belongs to
// one event loop, as do the clients it serves, so nothing here is locked but
// what pools on several loops share: the Member, the Budget of a cluster's seats
// (budget.go, arbiter.go, share.go) and the User whose servers are counted
// (user.go).
//
// The life of a server: a goroutine dials it (grow.go) within the limits of
// the pool and the member's ramp and back-off (member.go). It is assigned to
// the client that has waited longest, or goes on the idle list. Acquire takes
// from there, newest first, so that the surplus ages and can be closed; one
// that has idled for long proves itself with a query first (check.go).
// Release puts it back, Destroy closes it. A closed server counts against the
// limit until PostgreSQL has closed its side too: before that the backend
// still exists (close.go).
//
// Clients that find no server wait in line (wait.go), first come, first
// served, at most query_wait_timeout.
package pool

// Package members watches the PostgreSQL servers of a cluster: which of them is
// the primary, and up to when each standby has everything that was committed.
//
// Watch (watch.go) has one connection to each member, on which probe.go asks for
// its role, its timeline and how far its WAL goes. Who is primary follows from
// that (primary.go): the one that is not in recovery, and of two the one on the
// higher timeline.
//
// The members are those that are named, or those that Patroni names (patroni.go):
// then the primary is whom Patroni calls the leader, once it is not in recovery.
// Members come and go (roster.go); so does the server behind a member whose name
// leads elsewhere (resolve.go).
//
// A standby's freshness (fresh.go) is a time, not a position: the primary's
// insert position is read at a moment, and a standby that has replayed it has
// what was committed before that moment. It costs no question per read. The
// primary is asked soon after a write, and now and then while somebody reads. It is
// had to flush what keeps standbys behind for no reason (nudge.go). choose.go picks the
// standby of a read, culprit.go finds out who holds up a replay, and report.go tells.
package members

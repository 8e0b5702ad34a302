// Package restore puts a cluster back to a moment, from a repository alone: no server and
// no daemon need be there.
//
// target.go reads the moment that is meant. plan.go looks whether it can be reached: with
// which base backup, and whether all WAL is there from it on. cluster.go unpacks the base
// backup into a new directory, and has a PostgreSQL server of its own recover there until
// the moment is reached; recovery.go is that server, which nobody can log in to, and to
// which WAL comes over a socket. configuration.go puts back what was outside of the data
// directory, and has a server start in it without that.
//
// database.go has such a server recover one database alone, of which only its part of the base
// backup is fetched, and gate.go sees that no page of it was missing; then it is dumped. need.go
// says what that takes, and exam.go looks a whole cluster through, for a drill.
package restore

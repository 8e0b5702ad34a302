// Package dump copies one database out of a server and into another, with
// PostgreSQL's own pg_dump and pg_restore in directory format, in parallel.
//
// A copy's life: MakeScratch (scratch.go) makes a private folder on a disk that
// has room; Dump (dump.go) fills it from one snapshot of the source, logged in as
// the admin; Restore (restore.go) empties it into a database that Howdah has
// prepared, logged in as the tenant's role, since what a dump contains is
// executed and is the tenant's own. Login (login.go) says where and as whom.
// run.go runs the programs: they end with the context and with this process, and
// their error lines become the error.
//
// Passwords reach the programs by their environment, never by their arguments.
package dump

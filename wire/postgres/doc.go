// Package postgres runs PostgreSQL servers on this machine. It is the one
// place that knows initdb, pg_basebackup, postmaster.pid and which operating
// system account a server may run as; `howdah up`, the tests and restores into
// a scratch server all stand on it.
//
// The life of a server:
//
//   - Find (binaries.go) looks for an installed PostgreSQL and, when there is
//     none, says which package to install.
//   - Init or Standby (create.go) makes a data directory, in one step that
//     either happened or did not; Open takes one made earlier.
//   - StopLeftover (leftover.go) ends what an earlier owner of the directory
//     left running when it was killed.
//   - Start (server.go) runs the server as our child and returns when it
//     answers. The child gets a parent-death signal (child.go), so a server
//     never outlives the process that started it.
//   - Exec and QueryRow (sql.go) reach it as superuser over its Unix socket.
//   - Stop, or Kill for a crash, ends it; Start may follow again.
//
// A server that nothing is kept of has all it has in a folder of MakeServerScratch
// (scratch.go), which is removed even if we are killed: by the next one.
//
// PostgreSQL refuses to run as root. When we are root the server and its tools
// run as the OS user postgres (account.go); otherwise as ourselves. Who may log
// in is written at creation (config.go): the superuser by peer on the Unix
// socket, everybody else with SCRAM.
package postgres

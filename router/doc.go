// Package router carries clients to their tenants' servers.
//
// A client's life: Server (server.go) accepts it and gives it a goroutine for
// its login (login.go): whom a proxy names (origin.go), TLS, startup,
// authentication by the rule that fits (authenticate.go, package hba), for
// which lookup.go asks clusters for secrets and failures.go slows guessing
// down, and the tenant's look-up.
// Then the connection is handed to the worker (worker.go) on whose event loop
// the tenant lives, and the goroutine ends. There it is a client (client.go):
// two sockets and between them a session, the state machine that decides what
// becomes of each message. session.go is for what clients send, extended.go
// for prepared statements and sqlnames.go for SQL that names them, begin.go for
// what needs no server, answers.go for what servers send, inject.go for what
// Howdah itself sends to servers. The machine takes texts apart (lex.go,
// reading.go and the files beside it) to know what they may leave at a server,
// and pins.go looks whether they did: then the server stays. The machine does
// no input or output, so that its scenarios are text files in testdata/session.
// relay.go moves the bytes of answers, ending.go is every way in which a session
// can end.
//
// LISTEN is done for all sessions of a database on one connection: listen.go is
// the machine's part of it, listener.go the connection, notify.go what is
// between the two. listener_login.go says who listens: Howdah's own role if the
// cluster names it; listen_charset.go converts for clients of other encodings
// than UTF-8. Connections for replication (replication.go) have a server
// of their own and never come to a loop.
//
// What the machine remembers of a server travels with the server from client
// to client: its settings (vars.go) and its prepared statements (prepared.go).
// When a client alters what new sessions start with, servers are replaced
// (defaults.go). When the registry has a tenant on another cluster than before, its
// sessions go on there (follow.go), and under other names when it is renamed
// (carry.go); owner.go sees to it that a name which is another's by now leads nobody
// there. When a client copies, drops or renames a database (databases.go),
// Howdah's own servers there go away (vacate.go).
//
// A cluster of several members is watched (package members, watched.go): what is
// open follows the primary. standby.go sends transactions that only read to a
// standby: reads.go knows who says so, standby_text.go which statements cannot go
// there, writes.go what it must have, and park.go has those wait that no standby can
// serve yet. retry.go is the way back from a standby, behind which a transaction fails
// so that it can be repeated: where the standby goes (standby_lost.go), or cannot do
// what comes (standby_unfit.go). standby_shape.go makes the shapes by which package
// classify judges statements that do not say that they only read.
//
// Cancel requests (cancel.go) show a key of ours and never reach a server
// that has gone to somebody else meanwhile. control.go pauses, reloads and
// shuts down, hold.go has clients wait for an operation; report.go tells the
// numbers. usage.go knows how tenants stand to their quotas, and quota.go keeps those from
// writing that are over.
package router

// Package replication speaks PostgreSQL's streaming replication protocol, as far as WAL
// and base backups need it (manual, chapter "Frontend/Backend Protocol", section
// "Streaming Replication Protocol").
//
// conn.go logs in and asks what a server is; slot.go reads and makes slots, so that the
// server keeps what was not received yet. stream.go receives WAL until its timeline ends,
// and reports how much of it is safe. base.go receives a base backup: archives, in the
// order in which the server sends them, and its manifest. lsn.go has positions in the WAL
// and the names of the files that they are in.
package replication

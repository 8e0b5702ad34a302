// Package wal keeps a cluster's WAL in a repository, and gives it back. backup/FORMAT.md
// says how it lies there.
//
// Receiving: a Receiver (receiver.go) connects, and connects again. Each connection is a
// session (session.go), which finds out where to go on: where the repository ends, or, after
// a gap, where the server's slot begins. It receives one timeline after the other, each as a
// stream (stream.go), one goroutine that owns all of it and has the store served by jobs. A
// chunk (chunk.go) is a segment that comes: stored in parts, folded, at last stored whole. The
// server is told of what is stored only; what it has not been told it keeps. A scanner
// (records.go) reads the heads of the records that come: it finds databases that were made by
// copying files, which is recorded (copy.go) before the WAL that tells of it is stored, and
// counts the bytes of each database (tally.go, usage.go). sampler.go asks the primary where it is, once a
// second, and now and then whether its commits wait for what is stored. standbys.go keeps the
// slot on standbys too, for one of them may be the next primary.
//
// Reading, in the order of the files: List (contents.go) says what there is, by timeline:
// segments, parts of segments, histories (history.go), and records of gaps (gap.go); names.go
// reads keys, and believes none that our own code would not have written. Reaches (path.go)
// follows the way to a timeline and says up to where WAL is complete. Fetch (fetch.go) gives
// a file as a restore_command is asked for it; it is put together and checked in a spool
// (spool.go) before any of it is given away. TargetOf (samples.go) says which position the
// primary had reached by a time, and Passing (passing.go) whether its clock was set back over
// one.
//
// A restore_command runs Get (get.go), which asks over a Unix socket whoever runs Serve
// (serve.go): it runs as the server's OS user, who can read neither store nor key. A Source
// (source.go) fetches segments before they are asked for. A Door (door.go) serves several
// clusters, and takes what archive_commands have: OpenArchived (archived.go) reads it as the
// server's OS user, and an Archive (push.go) stores it.
package wal

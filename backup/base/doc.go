// Package base keeps base backups of a cluster in its repository: the files of a data
// directory and its tablespaces, sealed, and laid out so that one database can be fetched
// alone.
//
// A base backup's life: Take (take.go) receives it from a server as tar archives, tells
// their entries apart (tar.go), and cuts them into objects where one database ends and
// another begins (group.go), which are sealed and stored while the next bytes come
// (upload.go); nothing of it is ever on a local disk. It keeps a list of the files
// (index.go), and compares them with PostgreSQL's own (files.go). Configuration that is not in
// the data directory is asked for (configured.go) and put beside it (configuration.go). When the caller has made
// sure that the WAL is durable that goes with it, Commit stores the manifest (manifest.go):
// from then on the backup is there, and List shows it. Verify (verify.go) reads it again,
// without a key or with one. Unpack (unpack.go, place.go) makes a data directory of it, or
// of some of its databases; finish.go has what makes it a good one. Delete and Sweep
// (sweep.go) leave nothing of it, or of one that was never committed.
//
// From PostgreSQL 17 on it may be an incremental one, which has only what has changed since
// another. UnpackChain (combine.go) has PostgreSQL's pg_combinebackup put them together.
//
// What is where in the store is in ../FORMAT.md. WAL is the caller's business.
package base

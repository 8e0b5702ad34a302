// Package backup takes clusters and single databases back to any second. What it needs for
// that is in a store, and in nothing else.
//
// Its subpackages, in the order in which bytes travel. replication: the protocol by which a
// server gives its WAL and its files. wal: receives WAL as it is written and keeps it, and
// gives it back file by file. base: takes base backups, cut by databases, and unpacks them,
// or of them what one database needs. repository: where of one cluster all that is in the
// store, and whose it is. store: the object store's contract, its drivers, compression and
// encryption. restore: has a server of its own recover to a moment, for a whole cluster or
// for a dump of one database. keep: which base backups and WAL stay, and which are deleted.
// verify: reads all that is stored again. export: logical copies of single tenants.
//
// FORMAT.md says what is where in the store, and whom that protects from what.
package backup

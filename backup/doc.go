// Package backup will take clusters and single tenants back to any second: WAL
// streamed into an object store, base backups laid out per database, restore,
// verification and drills.
//
// Of it there are two subpackages. store: the object store's contract, its driver for
// a local directory, compression and encryption. export: logical copies of single
// tenants, kept in a store. FORMAT.md says what is where in the store, and whom that
// protects from what.
package backup

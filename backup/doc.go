// Package backup will take clusters and single tenants back to any second: WAL
// streamed into an object store, base backups laid out per database, restore,
// verification and drills. FORMAT.md will hold the layout and the threat model.
//
// Of it there is the subpackage store: the object store's contract, its driver for
// a local directory, compression and encryption.
package backup

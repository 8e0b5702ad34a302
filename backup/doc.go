// Package backup will take clusters and single tenants back to any second: WAL
// streamed into an object store, base backups laid out per database, restore,
// verification and drills. Its subpackage store will hold the object store's
// contract, its drivers, compression and encryption; FORMAT.md the layout and
// the threat model.
//
// Nothing of it is built yet.
package backup

// Package move carries a tenant's contents from the database that it has on one cluster
// to an empty one on another, while its clients work.
//
// A move's life: Look (look.go) reads what both clusters have, and says what keeps the
// contents from being carried. Announce (announce.go) has the source tell of changes: a
// publication of the tenant's tables, each of which can say which row has changed.
// Define copies what the tables are, by pg_dump and pg_restore as the tenant's role, and
// Subscribe has the target copy the rows and follow their changes (subscribe.go). When
// Progress says that it has caught up, and the caller holds the tenant's clients, a
// CutOver (cutover.go) closes the source, waits until the target has applied the last
// change, and carries what is not replicated: sequences and large objects (carry.go).
// The caller makes the database the tenant's; then TidyTarget and TidySource leave
// nothing of the move behind. Until then Retract takes all of it back.
//
// What changes definitions meanwhile is found by their fingerprint (fingerprint.go). What
// the move must know after a crash is in comments on the publication and the
// subscription.
package move

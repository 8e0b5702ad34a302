// Package tenants says who the tenants are, where their databases live and
// what they may use.
//
// The life of a tenant's entry, in the order of the files:
//
//   - tenant.go, reads.go, policy.go, quota.go: the plain types a source of tenants fills in. The
//     configuration file is one source; the catalog will be the other. A source
//     resolves limits (own over tier over defaults) before it hands them over.
//   - verifier.go: what a User's secret may look like. There is no plaintext.
//   - snapshot.go: NewSnapshot checks that the entries refer to each other
//     correctly and freezes them. Everything a Snapshot gives out is read-only
//     for ever, so the data path reads it from any thread without a lock.
//   - lookup.go: which tenant a client that names a database and a user means.
//   - registry.go: the Registry holds the current Snapshot, swaps it whole, and
//     wakes those who watch.
//
// The package knows neither pools nor sessions: it is what they read.
package tenants

// Package catalog keeps the registry in a PostgreSQL database that all Howdah nodes
// share, and what changes it in good order.
//
// A change, in the order of the files:
//
//   - catalog.go: Open logs in and brings the tables up to date (migrate.go,
//     migrations/).
//   - change.go: Change is one transaction: entries are put or deleted, an operation is
//     begun or ended, and what was done is told to the audit log. It raises the
//     catalog's revision and notifies the nodes.
//   - entry.go: an Entry is a [[cluster]], [[tier]], [[tenant]] or [[user]] as
//     howdah.toml would have it. What its settings mean is the reader's business.
//   - operation.go: an operation takes time and must survive a crash. There is one per
//     tenant at a time; its steps are noted before and after each is run.
//   - audit.go: who did what, each line bound to the one before by a hash. export.go
//     writes that out, and verifies what was written.
//   - watch.go: Follow gives each node what the catalog holds, again after every
//     change, and says that the node lives; file.go keeps the contents on disk for when
//     the database is away.
//   - history.go: nothing is done by a catalog that was put back to an earlier time;
//     review.go, until an operator has looked.
//   - hold.go: an operation has clients of a tenant wait on all nodes, and learns when
//     they do.
//
// Nothing secret is in plain text here: users have verifiers, tokens are hashed, and the
// keys that log users in to servers are sealed with the nodes' master key (masterkey.go).
package catalog

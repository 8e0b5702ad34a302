// Package repository is what a store holds of one cluster: whose it is, and under which
// keys its WAL and base backups are. backup/FORMAT.md has the keys.
//
// A Repository is opened for reading by its cluster's name alone: what was a cluster may be
// no more. Who writes claims it first, which fails where another cluster has written: one
// with another system identifier.
package repository

// Package schedule takes base backups of a cluster by itself, on the node that receives the
// cluster's WAL: who has the replication slot has the cluster, so that no catalog is needed
// to agree on it.
//
// A Scheduler (scheduler.go) looks now and then (look.go) whether a base backup is due
// (due.go): none is there from which all that is stored can be reached, the cluster has got
// what WAL does not tell all of, the last one is old, or a restore would soon have to
// replay more WAL than it may. If so it takes one (take.go), one cluster of the node at a
// time, and tells whoever is to keep order in the repository. Take is for a base backup by
// hand, too. Where there is a standby to take it of, to spare the primary, that is asked
// first. Between those that have all it may take incremental ones (incremental.go).
package schedule

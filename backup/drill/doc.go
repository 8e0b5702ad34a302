// Package drill finds out whether what is stored can be restored, by restoring it: a cluster
// or one of its databases, to a moment, into a scratch folder, where PostgreSQL's own
// programs look it through.
//
// A Drill's life: Run (drill.go) chooses a moment (moment.go), restores to it, and has all
// removed again. What came of it is a Record (record.go) in the store: how long it took, how
// much would have been lost, and what was wrong. A Scheduler (scheduler.go) has one be done
// whenever the last is old. ../FORMAT.md says how records lie in the store.
package drill

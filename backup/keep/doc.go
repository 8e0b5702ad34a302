// Package keep says what of a repository is kept, and deletes the rest.
//
// A plan's life: Make (plan.go) looks at what there is, and whether its clock can be right;
// judge.go says which base backups stay, each with the reasons, and need.go which WAL is
// needed for them. Nothing is changed until Run (run.go): it deletes base backups, each of
// which is none from its first step on, then the WAL that only they needed. Killed at any
// point it can be made and run again, and what was to stay can be restored all the time.
//
// Only what our own code has written, and what is known to be of no use, is deleted: a key
// that nobody of us would choose, or a base backup whose manifest cannot be read, is left
// alone and named in the plan.
//
// What is set for a cluster is noted beside its backups (promise.go), and a plan keeps what
// was promised before until the time when that held is out of it: the tenants who were
// promised more may be gone.
package keep

// Package jobs runs the catalog's operations. River (github.com/riverqueue/river) queues
// them, wakes a node for each, and elects who does what is done once; nothing else in
// Howdah knows it.
//
// The truth about an operation is its row in the catalog: state, step, who runs it and
// until when. River's own row only says that somebody should look. So River may lose a
// job, run it twice or think that it is stuck: a node takes an operation by its row,
// renews the lease while it runs, and stops at once when it cannot. What a node leaves
// behind that dies is taken up when it comes back, or when the lease has run out.
//
// Work that nobody asks for and that comes again and again (schedule.go) has no row: what
// it does is put right by the next time, whatever became of the last.
package jobs

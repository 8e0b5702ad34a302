// Package provision makes the databases of a cluster what the registry wants
// them to be, in steps that can be repeated.
//
// An operation's life: a job (the caller) fills in one of Create, Warm, Clone,
// Suspend, Resume, Rename, Rotate, Configure, Drop, Undrop, Purge, Receive, Arrive, Admit or Adopt. Observe (observe.go)
// reads what the cluster holds that matters to it (state.go). Plan (plan.go) makes
// of both a list of steps, without I/O: every decision is in it, and its tests
// are text files that show each statement (testdata/plan). Run (run.go, role.go)
// does one step; the job records before and after it. After a crash the job
// observes and plans again, and goes on from what it finds; when it gives up,
// the steps of Undo leave nothing behind.
//
// What is whose is in comments (names.go): COMMENT ON DATABASE and ON ROLE
// 'howdah:<tenant uuid>[ <state>]', and the OID, never a name alone. A database
// is made as howdah_new_<job>, Howdah's own and closed to all but superusers
// (make.go); one transaction gives it its name, owner, rights and comment, and
// the tenant is there (birth.go). Drop renames it to
// howdah_drop_<job>, closed and Howdah's again, until Purge (drop.go). What is closed Reach lets superusers into, for an export (held.go). Databases
// made in advance are howdah_warm_<id> (warm.go; shelf.go counts them). Suspending,
// renaming and rotating are in change.go, what a tenant's role has set in configure.go. A database that its owner has made without Howdah is
// marked as a tenant's by adopt.go.
//
// Steps that need a database without sessions say so (NeedsHold): the caller has
// the router hold the tenant first, and the step cuts off who is left. Draining
// is the caller's, so that the package knows neither pools nor sessions.
//
// A tenant that moves to another cluster gets its database there by Receive, and is
// there with Arrive, and Admit where the registry decides before (receive.go). What is in
// between is package provision/move's. One that
// is a copy of another gets it by Clone (clone.go), or by Receive where it is filled from
// a dump, and is there with Arrive too. One that
// is restored in its own place gets it by Receive, under another UUID, and Exchange
// (exchange.go), which keeps the one that was there as Drop does.
// How large databases are package provision/quota watches. Find (find.go) says which database
// is a tenant's, on a server of the past too.
package provision

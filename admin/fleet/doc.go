// Package fleet is what an operator does to tenants, clusters and tiers: each operation
// once, whatever door it came through.
//
// Something that is done at once (settings, a cluster, a token, grace.go) is a change of the
// catalog. What takes time (create, suspend, resume, rename, rotate, drop, undrop, purge) is checked and
// begun here and goes on as an operation that package jobs runs: plan.go lets package
// provision observe the cluster and plan, runs one step after the other, each noted
// before and after, and observes and plans again after an error or a crash. create.go,
// suspend.go, rename.go, rotate.go and drop.go say what goes around those steps: where a
// tenant is placed (place.go), whether Howdah has a secret of its own at the server
// (managed.go), and what the catalog says in the end. While a step needs that nobody is in a
// database, all nodes hold the tenant's clients (hold.go): the operation tells them
// through the catalog, and each says when nothing of its own is there any more. What
// clients do to databases by SQL the catalog follows (follow.go).
//
// An export (export.go, export_contents.go) goes through a folder on this node into the
// store of package backup/export, and an import (import.go, import_contents.go) out of it
// into a database that is the tenant's when all is in it.
//
// A restore to a moment (restore.go decides whether it can be reached, restore_run.go does it)
// gets a dump of what the tenant was then from the cluster's backups, by package
// backup/restore, and goes on as an import; or what was restored takes the tenant's place, and
// back (restore_swap.go). Which database a tenant has is recorded beside the backups whenever
// that changes (lineage.go).
//
// A tenant is cloned (clone.go decides how, clone_look.go by what, clone_run.go does it) by
// a copy of its database while its clients are held, or by a dump while they work; a copy
// that holds them for longer than was guessed is taken back, and a dump made instead; the copy
// is settled, which package provision/odoo does, before anybody can see it.
//
// What nobody asks for comes on a schedule (schedule.go): dropped tenants are purged when
// their time has come, databases are made in advance (warm.go), tenants' roles get the
// settings that their tiers have by now (roles.go), and what was done by SQL and not
// followed is found (compare.go).
package fleet

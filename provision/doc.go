// Package provision will make clusters match the registry: a pure planner
// (plan.go) that turns desired and actual state into steps, and the code that
// runs them by SQL, each step idempotent and recorded before and after its side
// effect. Create, suspend, clone, move, rename, export, restore and drop of a
// tenant's database will live here; draining comes in as a func, so that the
// package knows neither pools nor sessions.
//
// Nothing of it is built yet.
package provision

// Package quota measures the databases of tenants that have a quota, and tells how they
// stand to it. What follows from that is the listener's business.
//
// A Watch (watch.go) looks at the registry and asks each cluster through its admin_url
// (sizes.go), one query for all databases that are due: every minute, and every ten
// seconds those that are near their quota or over it. Every node watches for itself, so
// that nodes need not agree on who does, with a catalog or without.
package quota

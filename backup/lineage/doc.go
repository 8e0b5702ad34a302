// Package lineage says which database a tenant had when: a tenant gets another database when
// it is restored in its place or moved, and the name is no help, since another tenant may have
// it by now. Each operation that gives a tenant another database, another name, or takes it
// away, puts a Record into the cluster's repository, and a restore to a time reads them. They
// only spare it work, and catch mistakes: what decides is how the recovered server has marked
// its databases (package provision).
//
// backup/FORMAT.md says under which keys they are.
package lineage

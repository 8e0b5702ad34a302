// Package admin is where operators come in: the console, metrics and health.
//
// A console session, in the order of the files:
//
//   - console.go: the router hands over a client that asked for database
//     pgbouncer or howdah (Console.Serve); role.go says what its user may do.
//   - session.go greets it, then takes one Query after the other; parse.go reads
//     the command, command.go finds it in the one table of commands and checks
//     the role there and nowhere else.
//   - act.go does what changes something (RELOAD, KILL_CLIENT), act_database.go
//     what an operator does to databases (PAUSE, KILL, RECONNECT); operate.go and
//     its neighbours what package fleet does (CREATE TENANT, CANCEL JOB), of which
//     show_catalog.go tells; show.go
//     and its neighbours answer SHOW, each view with the columns PgBouncer has,
//     because exporters in the field read them by name and by position. result.go
//     sends the rows.
//   - average.go keeps the sample of a minute ago that the averages of SHOW STATS
//     need (Console.Run).
//
// The other door is HTTP: http.go serves /livez, /readyz and /metrics, and
// metrics.go turns one Stats of the router into Prometheus' words at each scrape,
// metrics_backups.go what backups.go tells of backups.
// What operators do to tenants there is in the subpackages: api is the door, page what a
// browser shows of it, fleet what it does, jobs how that survives a crash.
//
// Howdah's own facts never go into PgBouncer's columns: they have SHOW HOWDAH and
// the metrics.
package admin

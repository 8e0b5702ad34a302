// Command bench measures Howdah beside PgBouncer in front of the same
// PostgreSQL and prints one Markdown table: both raw figures, their ratio, and
// the target where the project has set itself one. `make bench` runs it.
//
// The life of a run: main.go reads the flags and finds the programs
// (programs.go); postgres.go makes a throw-away server, pgbouncer.go and
// howdah.go start the two poolers with the same settings, none of them as root.
// Then the sections follow, each named as in -only:
//
//   - tps, cpu, logins, tls (cases.go): pgbench -S in interleaved runs, PgBouncer,
//     Howdah, PgBouncer, Howdah, …, so that what else the machine does hits both.
//     CPU is the pooler's own, from /proc (proc.go), over the same runs.
//   - odoo (odoo.go): DISCARD ALL, BEGIN ISOLATION LEVEL REPEATABLE READ, three
//     SELECTs by primary key, COMMIT, by 32 clients on 4 servers, without pauses
//     and with one of a millisecond after each message. Besides throughput and
//     CPU: how long servers are held (console.go asks SHOW STATS), and how often
//     a pooler waits for one, which a proxy before PostgreSQL counts (trips.go).
//   - prepared200 (prepared.go): 64 clients, each of which has prepared 200
//     statements before the time runs, execute one at a time, whichever, and
//     compare each answer, which no other statement gives (statements.go).
//   - syscalls (syscalls.go): strace's count over a run, less that of its logins.
//   - loops (loops.go): two tenants whose clients send pipelined batches to a
//     backend that only pretends (backend.go), so that the pooler is what limits.
//   - memory (idle.go): how much resident memory one more idle client costs.
//
// `make bench-tenants` runs it with -tenants: 50 servers for many tenants, which
// are names with one role (seats.go), so that PgBouncer's max_user_connections is
// a budget too. Clients are connections of this program (seats_load.go), servers
// are counted in pg_stat_activity (seats_watch.go). Its sections:
//
//   - fair (seats_fair.go): 100 tenants with 10 connections each.
//   - moving (seats_moving.go): 20 of 500 databases are active, one after the other
//     goes and another comes; once more with the least seat_quantum there is.
//   - flood (seats_flood.go): how long 20 quiet tenants wait beside one with 200
//     clients.
//   - known (seats_known.go): CPU and memory of up to 100,000 tenants that do
//     nothing.
//
// `make bench-standbys` runs it with -standbys: Howdah alone, in front of a primary
// with a streaming standby (standby.go). Its sections:
//
//   - share (standby_share.go): how many READ ONLY transactions run at the standby
//     beside 1, 5 and 10 writes a second, and how many read what is no longer so.
//   - split (standby_split.go): what it costs to look whether a transaction may run
//     at a standby, where none may.
//
// `make bench-api` runs it with -api: how long reads of Howdah's HTTP API take (api.go),
// of a catalog with 1,000 tenants.
//
// `make bench-admin` runs it with -admin: a Howdah with a catalog and two clusters
// (admin.go), asked over HTTP. Its sections:
//
//   - create (admin_create.go): from the request for a tenant to its user's first login,
//     with databases that are kept ready and without, alone and many at once.
//   - churn (admin_churn.go): 500 tenants made, used, dropped and purged by four workers,
//     and whether they leave anything.
//   - holds (admin_holds.go): for how long a tenant's clients wait while it is renamed, and
//     while it moves by replication; none may get an error, nothing may be lost.
//   - neighbours (admin_neighbours.go): how long other tenants' transactions take while
//     one is cloned and dropped.
//
// `make bench-backup` runs it with -backup: a cluster of 20 equal tenants whose WAL and base
// backups Howdah stores (backup.go), beside PostgreSQL's own programs and pgBackRest. Its
// sections:
//
//   - wal (backup_wal.go): how fast 0.8 GB of WAL gets into a store, beside pg_receivewal and
//     pgBackRest.
//   - base (backup_base.go): base backups, beside pg_basebackup and pgBackRest.
//   - restore (backup_restore.go): of the cluster, beside tar with zstd, and of one tenant.
//   - slow, age (backup_load.go): what streaming and base backups cost who writes, and how
//     old the newest commit in the store is.
//
// A section that fails is reported with the command and what it wrote; the
// others still run, the table is printed, and the exit status is 1. Processes
// and files of a run end with it, also on Ctrl-C.
package main

// Command howdah is the whole of Howdah in one binary.
//
// main.go runs one command line and maps its error to an exit code (errors.go).
// root.go puts the commands together, one file each: check.go, version.go and
// help_settings.go here, the daemon and the supervisor beside them.
//
// The configuration file's life: LoadConfig (config.go) hands its text to
// config_read.go, which decodes the TOML, looks up the line of every key with
// keylines.go, and sets each value through the settings table (settings.go,
// settings_limits.go, setting_value.go). config_check.go and config_address.go
// then look for contradictions. Whatever is wrong is a Mistake (mistake.go), and
// all mistakes are told at once. What comes out is a Config, whose Snapshot is
// what package tenants works with.
//
// A pgbouncer.ini's way to a howdah.toml (import_pgbouncer.go): _ini.go reads it
// with its includes, _connstring.go splits the lines of databases and users;
// _settings.go is the table of PgBouncer's settings and what becomes of each, by
// the conversions of _values.go; _listen.go, _auth.go, _users.go, _databases.go
// and _pools.go do what is more than one value for another; _print.go writes.
package main

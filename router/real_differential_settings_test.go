package router_test

import (
	"fmt"
	"strings"
)

// currentSettings selects the settings that the grammar changes. One that may
// have never been set is marked for comparison.
const currentSettings = `current_setting('DateStyle'), current_setting('TimeZone'), current_setting('search_path'), current_setting('work_mem'),
	current_setting('application_name'), current_setting('client_min_messages'), current_setting('statement_timeout'),
	current_setting('standard_conforming_strings'), current_setting('client_encoding'), current_setting('IntervalStyle'),
	current_setting('bytea_output'), current_setting('extra_float_digits'), current_setting('default_transaction_isolation'),
	current_setting('default_transaction_read_only'), current_setting('enable_seqscan'), current_setting('escape_string_warning'),
	coalesce(current_setting('my.x', true), ''), coalesce(current_setting('my.y', true), ''), current_setting('role')`

// someSettings are names with values, the last of which is refused. None of
// them makes statements depend on time or on other clients.
func someSettings() [][]string {
	return [][]string{
		{"DateStyle", "'German'", "'SQL, DMY'", "iso", "iso, mdy", "postgres", "'never'"},
		{"TimeZone", "'UTC'", "'Asia/Tokyo'", "'Europe/Berlin'", "-5", "local", "interval '2:00' hour to minute", "'Mars/Olympus'"},
		{"search_path", "public", "pg_catalog", "'$user', public", "a, \"B c\", public", "'a, b'", "''", "1.2.3"},
		{"work_mem", "'2MB'", "5000", "'1GB'", "64", "'lots'"},
		{"application_name", "'app one'", "two", "'thr''ee'", "''", "'ü'", "a, b"},
		{"client_min_messages", "error", "warning", "notice", "log", "'shout'"},
		{"statement_timeout", "'1min'", "100000", "0", "'-1s'"},
		{"standard_conforming_strings", "on", "off", "off", "'maybe'"},
		{"client_encoding", "'UTF8'", "'LATIN1'", "'SJIS'", "sql_ascii", "'KLINGON'"},
		{"IntervalStyle", "iso_8601", "postgres", "sql_standard", "roman"},
		{"bytea_output", "escape", "hex", "base64"},
		{"extra_float_digits", "0", "-3", "3", "99"},
		{"default_transaction_isolation", "'repeatable read'", "'read committed'", "'read uncommitted'", "'whatever'"},
		{"default_transaction_read_only", "on", "off", "off", "off", "2"},
		{"enable_seqscan", "on", "off", "1", "'f'", "perhaps"},
		{"my.x", "1", "'one two'", "''", "a.b", "'u\\'", "x, y", "1 2"},
		{"my.y", "'why'", "true", "on", "- 5", "select"},
		{"max_connections", "5"},
		{"nonsense", "1"},
		{"is_superuser", "on"},
		{"log_statement", "'all'"},
		{"server_version", "'9'"},
		{"idle_in_transaction_session_timeout", "'1h'", "0", "x"},
		{"lock_timeout", "'1h'", "0", "x"},
		{"transaction_read_only", "on", "off", "x"},
		{"seed", "0.5", "2"},
		{"session_replication_role", "replica"},
		{"escape_string_warning", "off", "on", "x"},
		{"my.x.y.z", "1"},
		{"my.2", "1"},
	}
}

// setting sets, shows and resets settings in all ways there are.
func (g *grammar) setting() string {
	all := someSettings()
	s := all[g.IntN(len(all))]
	if g.in(7) {
		s = all[g.IntN(17)]
	}
	name, value := s[0], s[1+g.IntN(max(1, len(s)-2))]
	if g.in(1) {
		value = s[len(s)-1]
	}
	quoted := value
	if !strings.HasPrefix(value, "'") || strings.Count(value, "'") > 2 {
		quoted = "'" + strings.ReplaceAll(value, "'", "") + "'"
	}
	switch n := g.IntN(20); {
	case n < 5:
		return g.dress(fmt.Sprintf("set %s%s%s", name, g.one(" = ", " to ", "="), value))
	case n < 6:
		return fmt.Sprintf("set session %s = %s", name, value)
	case n < 8:
		return fmt.Sprintf("set local %s = %s", name, value)
	case n < 9:
		return g.one("set ", "set local ") + name + " to default"
	case n < 10:
		return fmt.Sprintf("select set_config('%s', %s, %s)", name, quoted, g.one("false", "true", "1 = 1", "not true"))
	case n < 11:
		return g.dress("reset " + name)
	case n < 12:
		return g.dress("reset all")
	case n < 13:
		return g.one("set time zone 'UTC'", "set time zone local", "set time zone default", "set time zone interval '-3:00' hour to minute", "set names 'LATIN1'",
			"set names default", "set schema 'pg_catalog'", "set xml option document", "set schema 'it''s'")
	case n < 14:
		return "set session characteristics as transaction " + g.one("read only", "read write", "isolation level repeatable read", "isolation level read committed", "deferrable, read write")
	case n < 16:
		return "select 'unset:', current_setting('my.x', true), 'unset:', current_setting('my.y', true)"
	case n < 18:
		return "select " + currentSettings
	case n < 19:
		return fmt.Sprintf("select set_config('work_mem', %s, false), set_config('my.x', v, false) from (values ('a'), ('b')) x(v)", g.one("'3MB'", "'4MB'", "1000 * 2 || 'kB'"))
	}
	return "show " + g.one("DateStyle", "TimeZone", "search_path", "work_mem", "application_name", "client_min_messages", "time zone", "session authorization",
		"is_superuser", "nonsense", "standard_conforming_strings", "role")
}

// role changes who the session is.
func (g *grammar) role() string {
	return g.dress(g.one(
		"set role reader", "set role 'reader'", "set local role reader", "set role none", "set role acme", "set role nosuch", "reset role", "set role to default",
		"set session authorization acme", "set session authorization default", "reset session authorization", "set session authorization reader",
		"set session session authorization acme", "set local session authorization acme", "set session role reader", "select set_config('role', 'reader', false)",
		"select set_config('role', 'none', true)", "select current_user, session_user, user, current_role", "show role", "show session_authorization",
		fmt.Sprintf("select count(*) from %s", g.t()), fmt.Sprintf("insert into %s (v) values ('role')", g.t()),
	))
}

// session puts the session back, wholly or in part.
func (g *grammar) session() string {
	return g.dress(g.one("discard all", "discard all", "discard all", "discard plans", "discard temp", "discard temporary", "discard sequences", "discard nonsense",
		"reset all", "deallocate all", "deallocate prepare all", "close all", "unlisten *", "reset session authorization", "select pg_advisory_unlock_all()",
		"load 'nosuch'", "select setseed(0.5)", "select setseed(0.25), random()", "checkpoint", "set session authorization default"))
}

// listen uses channels of the client's own.
func (g *grammar) listen() string {
	c := fmt.Sprintf("ch_%d%s", g.n, g.one("", "_b"))
	return g.dress(g.one("listen "+c, "listen "+c, "unlisten "+c, "unlisten *", "notify "+c, "notify "+c+", 'Payload'",
		fmt.Sprintf("select pg_notify('%s', 'by function')", c), "select * from pg_listening_channels() x order by x", "discard all",
		fmt.Sprintf("notify %s, 'twice'; notify %s, 'twice'", c, c)))
}

package router

import "strings"

// Some statements that write nothing are refused at a standby, or mean something
// else there: locks exclude nobody, sequences run ahead, and what the server says
// of itself is said of another one.

// primaryWords are the names that keep a statement at the primary.
var primaryWords = map[string]bool{
	"pg_is_in_recovery": true, "pg_export_snapshot": true, "txid_current": true, "pg_current_xact_id": true,
	"nextval": true, "currval": true, "lastval": true, "setval": true, "last_value": true,
	"pg_notify": true, "set_config": true, "pg_terminate_backend": true, "pg_cancel_backend": true,
	"pg_locks": true, "pg_settings": true, "pg_prepared_statements": true, "pg_prepared_xacts": true, "pg_cursors": true,
	"pg_backend_pid": true, "inet_server_addr": true, "inet_server_port": true, "pg_postmaster_start_time": true,
	"pg_reload_conf": true, "pg_promote": true, "hold": true, // a cursor that is kept keeps the server "pg_sequences": true, "pg_sequence_last_value": true, "pg_listening_channels": true,
	"update": true, "share": true, // FOR UPDATE and its kin
	"into": true, "insert": true, "delete": true, "merge": true,
}

// primaryPrefixes begin such names.
var primaryPrefixes = []string{
	"pg_advisory_", "pg_try_advisory_", "pg_stat_", "pg_statio_", "pg_wal", "pg_current_wal", "pg_last_wal", "pg_switch_wal",
	"pg_replication_", "pg_control_", "pg_copy_", "pg_create_", "pg_drop_", "pg_logical_", "pg_publication", "pg_subscription", "lo_", "dblink", "pg_ls_", "pg_read_", "pg_backup", "pg_start_", "pg_stop_",
}

// primaryWord reports whether a name keeps a statement at the primary.
func primaryWord(name string) bool {
	if primaryWords[name] {
		return true
	}
	for _, p := range primaryPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// meansSame reports whether a text means at a standby what it means at the primary,
// as far as can be seen from its words. In doubt it does not.
func meansSame(text []byte, v *vars) bool {
	if len(text) > maxKept || !v.readable && !ascii(text) {
		return false
	}
	l := lexer{text: text, conforming: v.conforming}
	first := true
	for t := l.next(); t.kind != tokenEnd; t = l.next() {
		switch t.kind {
		case tokenBroken:
			return false
		case tokenSymbol:
			if t.symbol(';') && !first {
				return l.next().kind == tokenEnd // one statement
			}
			continue
		case tokenWord, tokenQuoted:
		default:
			continue
		}
		name := strings.ToLower(string(t.text))
		if t.kind == tokenQuoted {
			if t.text[0] != '"' {
				return false // U&"": who knows
			}
			name = strings.Trim(name, `"`)
		}
		if first && t.kind == tokenWord && !readWords[name] {
			return false
		}
		first = false
		if primaryWord(name) {
			return false
		}
	}
	return !first
}

// readWords are what a statement begins with that can read only.
var readWords = map[string]bool{"select": true, "with": true, "values": true, "table": true, "declare": true}

// maxKept bounds the texts that may run at a standby, in bytes.
const maxKept = 64 << 10

package classify

import (
	"maps"
	"slices"
	"strings"
)

// Some statements that write nothing are refused at a standby, or mean something
// else there: locks exclude nobody, sequences run ahead, and what the server says
// of itself is said of another one.

// primaryNames keep a statement at the primary.
var primaryNames = map[string]bool{
	"pg_is_in_recovery": true, "pg_export_snapshot": true, "txid_current": true, "pg_current_xact_id": true,
	"nextval": true, "currval": true, "lastval": true, "setval": true, "last_value": true,
	"pg_notify": true, "set_config": true, "pg_terminate_backend": true, "pg_cancel_backend": true,
	"pg_locks": true, "pg_settings": true, "pg_prepared_statements": true, "pg_prepared_xacts": true, "pg_cursors": true,
	"pg_backend_pid": true, "inet_server_addr": true, "inet_server_port": true, "pg_postmaster_start_time": true,
	"pg_reload_conf": true, "pg_promote": true, "pg_sequences": true, "pg_sequence_last_value": true, "pg_listening_channels": true,
}

// primaryPrefixes begin such names.
var primaryPrefixes = []string{
	"pg_advisory_", "pg_try_advisory_", "pg_stat_", "pg_statio_", "pg_wal", "pg_current_wal", "pg_last_wal", "pg_switch_wal",
	"pg_replication_", "pg_control_", "pg_copy_", "pg_create_", "pg_drop_", "pg_logical_", "pg_publication", "pg_subscription", "lo_", "dblink", "pg_ls_", "pg_read_", "pg_backup", "pg_start_", "pg_stop_",
}

// AtPrimary reports whether a name, in lower case unless it was quoted, keeps a
// statement at the primary, even one that says that it only reads.
func AtPrimary(name string) bool {
	return primaryNames[name] || hasPrefix(name, primaryPrefixes)
}

// doubtfulNames keep at the primary what does not itself say that it only reads:
// they tell of the server or the session, or execute a text that they are given
// although they are called stable.
var doubtfulNames = map[string]bool{
	"current_setting": true, "pg_conf_load_time": true,
	"pg_current_snapshot": true, "txid_current_snapshot": true, "txid_status": true, "pg_xact_status": true,
	"inet_client_addr": true, "inet_client_port": true, "pg_file_settings": true, "pg_hba_file_rules": true,
	"pg_ident_file_mappings": true, "pg_get_sequence_data": true, "xpath_table": true, "pg_config": true, "pg_get_loaded_modules": true,
	"pg_input_is_valid": true, "pg_input_error_info": true, // they call the input function of a type that they are given
}

// calledNames keep a statement at the primary that calls them itself. What else has
// them does not: types their own input functions, information_schema's views the
// question whether a schema is temporary.
var calledNames = map[string]bool{
	"domain_in": true, "array_in": true, "record_in": true, "range_in": true, "multirange_in": true,
	"pg_my_temp_schema": true, "pg_is_other_temp_schema": true,
}

// doubtfulPrefixes begin such names.
var doubtfulPrefixes = []string{
	"crosstab", "connectby", "table_to_xml", "query_to_xml", "cursor_to_xml", "schema_to_xml", "database_to_xml",
	"pg_get_replication", "pg_get_wal", "pg_last_xact", "pg_show_", "pg_shmem", "pg_available_extension", "pg_backend_", "pg_temp", "pg_toast",
}

// atPrimary is AtPrimary for statements that do not say what they do.
func atPrimary(name string) bool {
	return AtPrimary(name) || doubtfulNames[name] || hasPrefix(name, doubtfulPrefixes)
}

func hasPrefix(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// PrimaryPattern is a regular expression for the names that keep a statement at the
// primary: CatalogQuery's second parameter.
func PrimaryPattern() string {
	names := slices.Sorted(maps.Keys(primaryNames))
	names = append(names, slices.Sorted(maps.Keys(doubtfulNames))...)
	for _, p := range slices.Concat(primaryPrefixes, doubtfulPrefixes) {
		names = append(names, p+".*")
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// configurePgBouncer writes its two files and returns its command line.
func (b *bench) configurePgBouncer(port int, s poolerSettings) ([]string, error) {
	auth := "scram-sha-256"
	if s.verifier == "" {
		auth = "trust"
	}
	users := filepath.Join(b.dir, fmt.Sprintf("users-%d.txt", port))
	var text, list strings.Builder
	fmt.Fprintln(&text, "[databases]")
	for _, tenant := range s.tenants {
		fmt.Fprintf(&text, "%s = host=127.0.0.1 port=%d dbname=%s\n", tenant, s.backend, tenant)
		fmt.Fprintf(&list, "%q %q\n", tenant, s.verifier)
	}
	fmt.Fprintln(&text, "[pgbouncer]")
	for _, setting := range [][2]any{
		{"listen_addr", "127.0.0.1"},
		{"listen_port", port},
		{"unix_socket_dir", ""},
		{"so_reuseport", 0},
		{"auth_type", auth},
		{"auth_file", users},
		{"pool_mode", "transaction"},
		{"default_pool_size", s.servers},
		{"max_client_conn", b.idle[1] + 1000},
		{"client_tls_sslmode", "allow"},
		{"client_tls_cert_file", b.cert.file},
		{"client_tls_key_file", b.cert.key},
		{"server_tls_sslmode", "disable"},
		{"ignore_startup_parameters", "extra_float_digits"},
		{"stats_users", tenant},
		{"log_connections", 0},
		{"log_disconnections", 0},
	} {
		fmt.Fprintf(&text, "%v = %v\n", setting[0], setting[1])
	}
	if b.programs.pgbouncer.knowsPrepared() {
		fmt.Fprintf(&text, "max_prepared_statements = %d\n", s.statements)
	}
	path := filepath.Join(b.dir, fmt.Sprintf("pgbouncer-%d.ini", port))
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(users, []byte(list.String()), 0o644); err != nil {
		return nil, err
	}
	return []string{b.programs.pgbouncer.path, path}, nil
}

// knowsPrepared: prepared statements under transaction pooling came with 1.21.
func (p pgbouncerBinary) knowsPrepared() bool { return p.atLeast(1, 21) }

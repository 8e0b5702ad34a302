package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// seatBudget is the backends that all tenants of a section share.
const seatBudget = 50

// seatSettings are what both poolers are told in the sections of many tenants.
// All tenants have the role bench, so that PgBouncer's max_user_connections
// bounds them together: the nearest that it has to a budget.
type seatSettings struct {
	names    []string // of tenants: what clients connect to
	database string   // the one behind them all; "" is one of the tenant's own name
	poolSize int      // servers a tenant may have
	quantum  time.Duration
	capped   map[string]int // PgBouncer's pool_size where it differs
}

func tenantNames(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%06d", prefix, i)
	}
	return names
}

func (s seatSettings) behind(name string) string {
	if s.database != "" {
		return s.database
	}
	return name
}

// startSeats starts a fresh pooler once the servers of the one before are gone.
func (b *bench) startSeats(ctx context.Context, c contender, s seatSettings) (*pooler, error) {
	if err := b.awaitNoBackends(ctx); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	var argv []string
	if c == bouncer {
		argv, err = b.seatsOfPgBouncer(port, s)
	} else {
		argv, err = b.seatsOfHowdah(port, s)
	}
	if err != nil {
		return nil, err
	}
	return b.launch(ctx, c, port, argv, poolerURL(port, tenant, s.names[0]))
}

// tenantURL is how a client of the one role reaches a tenant.
func (p *pooler) tenantURL(name string) string { return poolerURL(p.port, tenant, name) }

func (b *bench) seatsOfHowdah(port int, s seatSettings) ([]string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "[listen]\naddresses = [\"127.0.0.1:%d\"]\nunix_socket_dir = \"\"\n", port)
	fmt.Fprintf(&text, "[admin]\nhttp = \"\"\nstats_users = [%q]\n[server]\nlog_level = \"warn\"\n", tenant)
	fmt.Fprintf(&text, "[defaults]\npool_mode = \"transaction\"\npool_size = %d\n", s.poolSize)
	fmt.Fprintf(&text, "[[cluster]]\nname = \"main\"\nmembers = [\"127.0.0.1:%d\"]\ntls_mode = \"disable\"\n", b.database.server.Port())
	fmt.Fprintf(&text, "budget = %d\n", seatBudget)
	if s.quantum > 0 {
		fmt.Fprintf(&text, "seat_quantum = %q\n", s.quantum)
	}
	fmt.Fprintf(&text, "[[user]]\nname = %q\nverifier = %q\n", tenant, b.database.verifier)
	for _, name := range s.names {
		fmt.Fprintf(&text, "[[tenant]]\nname = %q\ndatabase = %q\nuser = %q\n", name, s.behind(name), tenant)
	}
	path := filepath.Join(b.dir, fmt.Sprintf("howdah-%d.toml", port))
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return nil, err
	}
	binary := filepath.Join(b.dir, "howdah")
	if err := copyProgram(b.programs.howdah, binary); err != nil {
		return nil, err
	}
	return []string{binary, "serve", "-c", path}, nil
}

func (b *bench) seatsOfPgBouncer(port int, s seatSettings) ([]string, error) {
	users := filepath.Join(b.dir, fmt.Sprintf("users-%d.txt", port))
	var text strings.Builder
	fmt.Fprintln(&text, "[databases]")
	for _, name := range s.names {
		fmt.Fprintf(&text, "%s = host=127.0.0.1 port=%d dbname=%s", name, b.database.server.Port(), s.behind(name))
		if size, ok := s.capped[name]; ok {
			fmt.Fprintf(&text, " pool_size=%d", size)
		}
		fmt.Fprintln(&text)
	}
	fmt.Fprintf(&text, "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n", port)
	fmt.Fprintf(&text, "so_reuseport = 0\nauth_type = scram-sha-256\nauth_file = %s\npool_mode = transaction\n", users)
	fmt.Fprintf(&text, "default_pool_size = %d\nmax_user_connections = %d\nmax_client_conn = %d\n", s.poolSize, seatBudget, b.idle[1]+1000)
	fmt.Fprintf(&text, "server_tls_sslmode = disable\nignore_startup_parameters = extra_float_digits\nstats_users = %s\n", tenant)
	fmt.Fprintf(&text, "log_connections = 0\nlog_disconnections = 0\n")
	path := filepath.Join(b.dir, fmt.Sprintf("pgbouncer-%d.ini", port))
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(users, fmt.Appendf(nil, "%q %q\n", tenant, b.database.verifier), 0o644); err != nil {
		return nil, err
	}
	return []string{b.programs.pgbouncer.path, path}, nil
}

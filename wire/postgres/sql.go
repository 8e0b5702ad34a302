package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// connect opens a superuser connection over the Unix socket.
func (s *Server) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, s.AdminURL(database))
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL in %q: %w", s.cfg.Dir, err)
	}
	return conn, nil
}

// Exec runs statements as superuser in a database, one after another on one
// connection, and stops at the first that fails.
func (s *Server) Exec(ctx context.Context, database string, statements ...string) error {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range statements {
		// The text stays out of the error: it may hold a password.
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			verb, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
			return fmt.Errorf("run %s in database %q: %w", verb, database, err)
		}
	}
	return nil
}

// QueryRow runs a query as superuser in a database and scans its one row. It
// returns pgx.ErrNoRows, wrapped, when there is none.
func (s *Server) QueryRow(ctx context.Context, database, sql string, args []any, into ...any) error {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := conn.QueryRow(ctx, sql, args...).Scan(into...); err != nil {
		return fmt.Errorf("query database %q: %w", database, err)
	}
	return nil
}

// SystemID returns the system identifier, which a primary shares with its
// standbys and with nobody else. The server need not run.
func (s *Server) SystemID(ctx context.Context) (string, error) {
	out, err := s.runTool(ctx, "pg_controldata", "--pgdata="+s.cfg.Dir)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if value, ok := strings.CutPrefix(line, "Database system identifier:"); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("read system identifier of %q: pg_controldata does not say it", s.cfg.Dir)
}

// Follow makes a standby that does not run stream from primary, which must run,
// through the slot, which is made if it is missing.
func (s *Server) Follow(ctx context.Context, primary *Server, slot string) error {
	if err := primary.ensureSlot(ctx, slot); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slot = slot
	s.follow = fmt.Sprintf("host=%s port=%d user=%s application_name=%s",
		quoteConnValue(primary.cfg.SocketDir), primary.cfg.Port, Superuser, quoteConnValue(slot))
	return nil
}

// Streaming says whether the standby that uses the slot receives the primary's
// WAL as it is written.
func (s *Server) Streaming(ctx context.Context, slot string) (bool, error) {
	var streaming bool
	err := s.QueryRow(ctx, Superuser, `select exists (
		select from pg_replication_slots join pg_stat_replication on pid = active_pid
		where slot_name = $1 and state = 'streaming')`, []any{slot}, &streaming)
	return streaming, err
}

func (s *Server) ensureSlot(ctx context.Context, slot string) error {
	var made int
	return s.QueryRow(ctx, Superuser, `select count(pg_create_physical_replication_slot($1))
		where not exists (select from pg_replication_slots where slot_name = $1)`, []any{slot}, &made)
}

// quoteConnValue quotes a value of a libpq connection string.
func quoteConnValue(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Rejoin makes a server that was the primary, and does not run, a standby of the one
// that was promoted in its place, which must run. The old one is started by Start.
// With rewind, pg_rewind first takes back what it wrote that nobody received: it
// must where it crashed, and need not where it was stopped while its successor
// followed it (PostgreSQL manual, pg_rewind).
func (s *Server) Rejoin(ctx context.Context, primary *Server, slot string, rewind bool) error {
	if rewind {
		// pg_rewind reads the timeline from the control file, which has it with the
		// first checkpoint behind the promotion.
		if err := primary.Exec(ctx, Superuser, "checkpoint"); err != nil {
			return err
		}
		_, err := s.runTool(ctx, "pg_rewind", "--target-pgdata="+s.cfg.Dir, "--no-sync",
			fmt.Sprintf("--source-server=host=%s port=%d user=%s dbname=%s", quoteConnValue(primary.cfg.SocketDir), primary.cfg.Port, Superuser, Superuser))
		if err != nil {
			return fmt.Errorf("rewind %q: %w", s.cfg.Dir, err)
		}
	}
	if err := s.Follow(ctx, primary, slot); err != nil {
		return err
	}
	signal := filepath.Join(s.cfg.Dir, "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		return err
	}
	return s.account.chown(signal)
}

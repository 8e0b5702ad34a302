package postgres

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Init makes the data directory of a new primary. The directory appears whole
// or not at all, however we end. The server is not started.
func Init(ctx context.Context, b Binaries, cfg Config) (*Server, error) {
	s, err := newServer(b, cfg)
	if err != nil {
		return nil, err
	}
	args := []string{
		"--username=" + Superuser, "--encoding=UTF8", "--locale=C.UTF-8",
		"--auth-local=peer", "--auth-host=scram-sha-256", "--data-checksums",
	}
	args = append(args, cfg.InitArgs...)
	if cfg.NoSync {
		args = append(args, "--no-sync")
	}
	err = s.create(func(dir string) error {
		_, err := s.runTool(ctx, "initdb", append(args, "--pgdata="+dir)...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make data directory %q: %w", cfg.Dir, err)
	}
	return s, nil
}

// Standby makes the data directory of a streaming standby by copying the
// running primary. The standby keeps its place in the primary by a physical
// replication slot named slot. The server is not started. To Open it later, set
// Follow first.
func Standby(ctx context.Context, b Binaries, primary *Server, slot string, cfg Config) (*Server, error) {
	s, err := newServer(b, cfg)
	if err != nil {
		return nil, err
	}
	if err := primary.ensureSlot(ctx, slot); err != nil {
		return nil, err
	}
	args := []string{
		"--host=" + primary.cfg.SocketDir, fmt.Sprintf("--port=%d", primary.cfg.Port), "--username=" + Superuser,
		"--write-recovery-conf", "--wal-method=stream", "--slot=" + slot, "--checkpoint=fast", "--no-password",
	}
	if cfg.NoSync {
		args = append(args, "--no-sync")
	}
	err = s.create(func(dir string) error {
		_, err := s.runTool(ctx, "pg_basebackup", append(args, "--pgdata="+dir)...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("copy primary into %q: %w", cfg.Dir, err)
	}
	return s, s.Follow(ctx, primary, slot)
}

// Open takes a data directory made by Init or Standby in an earlier life.
// Settings, HBA and NoSync of cfg are ignored; the rest may differ from then.
func Open(b Binaries, cfg Config) (*Server, error) {
	s, err := newServer(b, cfg)
	if err != nil {
		return nil, err
	}
	version, err := os.ReadFile(filepath.Join(cfg.Dir, "PG_VERSION"))
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	if got := strings.TrimSpace(string(version)); got != fmt.Sprint(b.Major) {
		return nil, fmt.Errorf("open data directory %q: it was made by PostgreSQL %s, the programs in %q are %d", cfg.Dir, got, b.Dir, b.Major)
	}
	return s, nil
}

// DataVersion returns the major version a data directory was made by; 0 when
// dir is none.
func DataVersion(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err != nil {
		return 0
	}
	var major int
	if _, err := fmt.Sscan(string(text), &major); err != nil {
		return 0
	}
	return major
}

// create fills a folder beside the final one and renames it when it is complete.
func (s *Server) create(fill func(dir string) error) error {
	if _, err := os.Lstat(s.cfg.Dir); err == nil {
		return fmt.Errorf("it exists already")
	}
	dir := s.cfg.Dir + ".new"
	if err := os.RemoveAll(dir); err != nil { // half-made by a process that was killed
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := s.account.chown(dir); err != nil {
		return err
	}
	if err := fill(dir); err != nil {
		return err
	}
	if err := s.cfg.writeFiles(s.account, dir); err != nil {
		return err
	}
	return os.Rename(dir, s.cfg.Dir)
}

// runTool runs one of PostgreSQL's programs as the server's account and returns
// what it printed; when it fails its messages become the error's text.
func (s *Server) runTool(ctx context.Context, program string, args ...string) (string, error) {
	var output, messages bytes.Buffer
	cmd := exec.CommandContext(ctx, s.binaries.Path(program), args...)
	cmd.Stdout, cmd.Stderr = &output, &messages
	if err := s.account.prepare(cmd, s.cfg.Dir); err != nil {
		return "", err
	}
	child, err := StartChild(cmd, syscall.SIGKILL) // half-made directories are nobody's then
	if err != nil {
		return "", fmt.Errorf("run %s: %w", program, err)
	}
	<-child.Done()
	if err := child.Err(); err != nil {
		return "", fmt.Errorf("run %s: %w: %s", program, err, strings.TrimSpace(messages.String()))
	}
	return output.String(), nil
}

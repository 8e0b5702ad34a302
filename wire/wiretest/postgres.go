package wiretest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"howdah/wire/postgres"
)

// PostgresOption changes how StartPostgres makes its server.
type PostgresOption func(*postgres.Config)

// WithTrust lets everybody in over TCP without a password.
func WithTrust() PostgresOption {
	return WithHBA("host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust")
}

// WithHBA puts pg_hba.conf lines before the default ones (SCRAM for all).
func WithHBA(lines ...string) PostgresOption {
	return func(c *postgres.Config) { c.HBA = append(c.HBA, lines...) }
}

// WithSetting sets one postgresql.conf setting.
func WithSetting(name, value string) PostgresOption {
	return func(c *postgres.Config) { c.Settings[name] = value }
}

// WithSegmentSize has WAL be cut into segments of so many megabytes.
func WithSegmentSize(megabytes int) PostgresOption {
	return func(c *postgres.Config) {
		c.InitArgs = append(c.InitArgs, fmt.Sprintf("--wal-segsize=%d", megabytes))
		c.Settings["min_wal_size"] = fmt.Sprintf("%dMB", 2*megabytes)
		c.Settings["max_wal_size"] = fmt.Sprintf("%dMB", max(8*megabytes, 64))
	}
}

// StartPostgres runs a PostgreSQL server of the test's own, of the newest
// version installed, and ends it with the test. It needs about a second. It
// does not care for its disk (fsync is off), takes 100 connections, and lives
// in a folder that the OS user postgres can reach, unlike tb.TempDir. When
// PostgreSQL is not installed the test fails.
func StartPostgres(tb testing.TB, options ...PostgresOption) *postgres.Server {
	tb.Helper()
	return StartPostgresOf(tb, FindPostgres(tb), options...)
}

// StartPostgresOf is StartPostgres with the programs of a version.
func StartPostgresOf(tb testing.TB, binaries postgres.Binaries, options ...PostgresOption) *postgres.Server {
	tb.Helper()
	dir := ServerDir(tb)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := initServer(ctx, binaries, dir, SocketDir(tb, dir), FreePort(tb), options)
	if err != nil {
		tb.Fatalf("make a PostgreSQL server: %v", err)
	}
	startForTest(ctx, tb, server)
	return server
}

// initServer makes a server for tests.
func initServer(ctx context.Context, binaries postgres.Binaries, dir, sockets string, port int, options []PostgresOption) (*postgres.Server, error) {
	cfg := postgres.Config{
		Dir: filepath.Join(dir, "data"), SocketDir: sockets, Port: port, NoSync: true,
		Settings: map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
			"shared_buffers": "32MB", "wal_level": "logical", "autovacuum": "off",
			"log_line_prefix": "%m [%p] %q%u@%d ", "wal_retrieve_retry_interval": "100ms",
			"dynamic_shared_memory_type": "mmap", // else it stays, for it is killed in the end
		},
	}
	for _, change := range options {
		change(&cfg)
	}
	return postgres.Init(ctx, binaries, cfg)
}

// StartStandby runs a standby that streams from primary through the slot
// "standby", and ends it with the test.
func StartStandby(tb testing.TB, primary *postgres.Server, options ...PostgresOption) *postgres.Server {
	tb.Helper()
	return StartStandbyAt(tb, primary, "standby", options...)
}

// StartStandbyAt is StartStandby with a slot of that name.
func StartStandbyAt(tb testing.TB, primary *postgres.Server, slot string, options ...PostgresOption) *postgres.Server {
	tb.Helper()
	dir := ServerDir(tb)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	config := postgres.Config{
		Dir: filepath.Join(dir, "data"), SocketDir: SocketDir(tb, dir), Port: FreePort(tb), NoSync: true, Settings: map[string]string{},
	}
	for _, option := range options {
		option(&config)
	}
	server, err := postgres.Standby(ctx, FindPostgres(tb), primary, slot, config)
	if err != nil {
		tb.Fatalf("make a standby: %v", err)
	}
	startForTest(ctx, tb, server)
	return server
}

func startForTest(ctx context.Context, tb testing.TB, server *postgres.Server) {
	tb.Helper()
	tb.Cleanup(func() {
		if tb.Failed() {
			logTail(tb, server.Log())
		}
		server.Kill()
	})
	if err := server.Start(ctx); err != nil {
		tb.Fatal(err)
	}
}

// CreateTenant makes a role and a database of one name, the role owning the
// database and logging in with password; nobody else may connect to it.
func CreateTenant(tb testing.TB, server *postgres.Server, name, password string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	err := server.Exec(ctx, postgres.Superuser,
		fmt.Sprintf("create role %s login password '%s'", quoted, strings.ReplaceAll(password, "'", "''")),
		fmt.Sprintf("create database %s owner %s", quoted, quoted),
		fmt.Sprintf("revoke all on database %s from public", quoted))
	if err != nil {
		tb.Fatalf("create tenant %q: %v", name, err)
	}
}

// Verifier returns the SCRAM verifier a server keeps for a role, as the [[user]]
// entries of howdah.toml want it.
func Verifier(tb testing.TB, server *postgres.Server, role string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var verifier string
	err := server.QueryRow(ctx, postgres.Superuser, "select rolpassword from pg_authid where rolname = $1", []any{role}, &verifier)
	if err != nil {
		tb.Fatalf("read verifier of %q: %v", role, err)
	}
	return verifier
}

// FindPostgres is postgres.Find for the newest version; not finding one fails
// the test.
func FindPostgres(tb testing.TB) postgres.Binaries {
	tb.Helper()
	binaries, err := postgres.Find(0)
	if err != nil {
		tb.Fatal(err)
	}
	return binaries
}

// NewerPostgres returns the programs of a PostgreSQL that is newer than the system's, and has
// incremental base backups. It is beside the system, and whoever looks for programs finds
// them first.
func NewerPostgres(tb testing.TB) postgres.Binaries {
	tb.Helper()
	return unpackedPostgres(tb, 17, "trixie")
}

// NewestPostgres is NewerPostgres for the newest major version, in tests that take minutes:
// HOWDAH_SOAK asks for them.
func NewestPostgres(tb testing.TB) postgres.Binaries {
	tb.Helper()
	if os.Getenv("HOWDAH_SOAK") == "" {
		tb.Skip("it unpacks another PostgreSQL, and takes minutes: HOWDAH_SOAK=1m runs it")
	}
	return unpackedPostgres(tb, 18, "sid")
}

// unpackedPostgres finds what testdata/getpg has unpacked, or has it do so.
func unpackedPostgres(tb testing.TB, major int, suite string) postgres.Binaries {
	tb.Helper()
	module, err := exec.CommandContext(tb.Context(), "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := exec.CommandContext(tb.Context(), filepath.Join(strings.TrimSpace(string(module)), "testdata", "getpg"), strconv.Itoa(major), suite).Output()
	if err != nil {
		tb.Fatalf("get PostgreSQL %d: %v", major, err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "usr/lib/postgresql", strconv.Itoa(major), "bin")
	tb.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	binaries, err := postgres.Find(major)
	if err != nil {
		tb.Fatal(err)
	}
	return binaries
}

// ServerDir makes a folder that servers can reach and removes it with the test.
func ServerDir(tb testing.TB) string {
	tb.Helper()
	dir, err := serverDir()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

func serverDir() (string, error) {
	dir, err := os.MkdirTemp("", "howdah-pg-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// SocketDir makes a folder for Unix sockets inside dir, or a shorter one.
func SocketDir(tb testing.TB, dir string) string {
	tb.Helper()
	sockets, err := postgres.MakeSocketDir(filepath.Join(dir, "run"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(sockets); err != nil {
			tb.Error(err)
		}
	})
	return sockets
}

// FreePort returns a TCP port of 127.0.0.1 that nobody listens on. It is below
// the range the kernel gives to outgoing connections, so that none of those
// takes it before the test does.
func FreePort(tb testing.TB) int {
	tb.Helper()
	port, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

func freePort() (int, error) {
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(20000))
		if err != nil {
			return 0, err
		}
		port := 12000 + int(n.Int64())
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port among 100 tried")
}

func logTail(tb testing.TB, path string) {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Logf("no server log: %v", err)
		return
	}
	tb.Logf("end of the server's log:\n%s", text[max(0, len(text)-4000):])
}

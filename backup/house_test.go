package backup_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// building builds the program once for all tests of this package.
var building struct {
	once    sync.Once
	program string
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if building.program != "" {
		os.RemoveAll(filepath.Dir(building.program))
	}
	os.Exit(code)
}

// buildHowdah returns the real program.
func buildHowdah(t testing.TB) string {
	t.Helper()
	building.once.Do(func() {
		folder, err := os.MkdirTemp("", "howdah-backup-test-")
		if err != nil {
			building.err = err
			return
		}
		building.program = filepath.Join(folder, "howdah")
		if out, err := exec.Command("go", "build", "-o", building.program, "howdah/cmd/howdah").CombinedOutput(); err != nil {
			building.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if building.err != nil {
		t.Fatal(building.err)
	}
	return building.program
}

// place is a configuration file for the real program, and what is beside it: a cluster
// called main, a store, and its keys.
type place struct {
	t       testing.TB
	program string
	folder  string
	config  string
	repo    *repository.Repository // the same, for who looks at it from inside

	mu    sync.Mutex // of serve: what it prints comes from another goroutine
	serve *exec.Cmd
}

// newPlace makes a configuration for a cluster: url is both of its connection strings.
func newPlace(t testing.TB, where string, s store.Store, url string, members ...string) *place {
	t.Helper()
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := store.NewSealer([]string{recipient}, identity)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, program: buildHowdah(t), folder: t.TempDir(), repo: &repository.Repository{Store: s, Sealer: sealer, Cluster: "main"}}
	p.config = filepath.Join(p.folder, "howdah.toml")
	p.write("identity", identity)
	keys := ""
	if strings.HasPrefix(where, "s3:") {
		c := storetest.S3Credentials()
		p.write("keys", fmt.Sprintf("aws_access_key_id = %s\naws_secret_access_key = %s\n", c.AccessKey, c.SecretKey))
		keys = `credentials_file = "keys"`
	}
	p.write("howdah.toml", fmt.Sprintf(`[listen]
addresses = ["127.0.0.1:%d"]
unix_socket_dir = ""
[admin]
http = ""
[backup]
store = %q
%s
recipients = [%q]
identity_file = "identity"
[[cluster]]
name = "main"
members = [%s]
admin_url = %q
replication_url = %q
`, wiretest.FreePort(t), where, keys, recipient, `"`+strings.Join(members, `", "`)+`"`, url, url))
	t.Cleanup(p.killServe)
	return p
}

func (p *place) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.folder, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// command is the program, with this configuration.
func (p *place) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.program, append(args, "-c", p.config)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run runs a command to its end.
func (p *place) run(args ...string) (out string, err error) {
	text, err := p.command(args...).CombinedOutput()
	return string(text), err
}

// done runs a command that must succeed.
func (p *place) done(args ...string) string {
	p.t.Helper()
	out, err := p.run(args...)
	if err != nil {
		p.t.Fatalf("howdah %q: %v\n%s", args, err, out)
	}
	return out
}

// startServe starts `howdah serve`, whose log is a file in the folder.
func (p *place) startServe() {
	p.t.Helper()
	log, err := os.OpenFile(filepath.Join(p.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	cmd := p.command("serve")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve = cmd
}

// killServe ends it as a power cut would.
func (p *place) killServe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serve != nil {
		_ = p.serve.Process.Kill()
		_ = p.serve.Wait()
		p.serve = nil
	}
	if p.t.Failed() {
		text, _ := os.ReadFile(filepath.Join(p.folder, "log"))
		p.t.Logf("Howdah's log ends:\n%s", text[max(0, len(text)-4000):])
	}
}

// stored waits until WAL is stored up to a position, as the real program sees it.
func (p *place) stored(until replication.LSN) {
	p.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(300 * time.Millisecond) {
		out, err := p.run("restore", "--to", "lsn:"+until.String(), "--dry-run")
		if err == nil {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("WAL up to %s is not stored: %v\n%s", until, err, out)
		}
	}
}

// open starts a server on a restored directory.
func open(t testing.TB, binaries postgres.Binaries, dir string) *postgres.Server {
	t.Helper()
	s, err := postgres.Open(binaries, postgres.Config{
		Dir: dir, SocketDir: wiretest.SocketDir(t, dir), Port: wiretest.FreePort(t), NoSync: true,
		Override: map[string]string{"archive_mode": "off", "fsync": "off"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// flushed returns up to where a server's WAL is on its disk.
func flushed(t testing.TB, s *postgres.Server) replication.LSN {
	t.Helper()
	return position(t, s, "pg_current_wal_flush_lsn()")
}

// position asks a server for a position.
func position(t testing.TB, s *postgres.Server, of string) replication.LSN {
	t.Helper()
	var text string
	if err := s.QueryRow(context.Background(), postgres.Superuser, "select "+of+"::text", nil, &text); err != nil {
		t.Fatal(err)
	}
	l, err := replication.ParseLSN(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

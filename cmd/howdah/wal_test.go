package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"howdah/backup/store"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// archivePlace is a running `howdah serve` with a wal_socket and a store, and a folder that
// the servers' OS user can enter.
type archivePlace struct {
	folder, program, config, socket string
}

func startArchivePlace(t *testing.T) *archivePlace {
	t.Helper()
	p := &archivePlace{folder: wiretest.ServerDir(t)}
	p.program, p.config, p.socket = filepath.Join(p.folder, "howdah"), filepath.Join(t.TempDir(), "howdah.toml"), filepath.Join(p.folder, "wal")
	if out, err := exec.Command("go", "build", "-o", p.program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if err := os.Chmod(p.program, 0o755); err != nil {
		t.Fatal(err)
	}
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(p.config)
	user := "" // who runs the servers runs Howdah
	if os.Geteuid() == 0 {
		user = "os_user = \"postgres\"\n"
	}
	text := fmt.Sprintf("[listen]\naddresses = [\"127.0.0.1:%d\"]\nunix_socket_dir = \"\"\n[admin]\nhttp = \"\"\n", wiretest.FreePort(t)) +
		fmt.Sprintf("[backup]\nstore = \"file:store\"\nrecipients = [%q]\nidentity_file = \"identity\"\nwal_socket = %q\n", recipient, p.socket) +
		"[[store]]\nname = \"of main\"\nurl = \"file:main\"\n" +
		"[[cluster]]\nname = \"main\"\nmembers = [\"127.0.0.1:1\"]\nstore = \"of main\"\n" + user +
		"[[cluster]]\nname = \"other\"\nmembers = [\"127.0.0.1:1\"]\nos_user = \"nobody\"\n"
	for name, text := range map[string]string{"identity": identity + "\n", "howdah.toml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.run(t, 0, "backup", "init", "-c", p.config)
	p.serve(t)
	t.Cleanup(func() {
		for folder, want := range map[string]bool{"store": false, "main": true} {
			if _, err := os.Stat(filepath.Join(dir, folder, "objects", "clusters", "main", "wal")); (err == nil) != want {
				t.Errorf("WAL of main in %s: %v", folder, err)
			}
		}
	})
	return p
}

func (p *archivePlace) serve(t *testing.T) {
	t.Helper()
	cmd := exec.Command(p.program, "serve", "-c", p.config)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Howdah's log:\n%s", log.String())
		}
	})
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(p.socket); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("there is no wal_socket")
		}
	}
}

// run runs a command, which is to end with an exit code.
func (p *archivePlace) run(t *testing.T, code int, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), p.program, args...).CombinedOutput()
	exit := 0
	if err != nil {
		exit = -1
		if e, ok := err.(*exec.ExitError); ok {
			exit = e.ExitCode()
		}
	}
	if exit != code {
		t.Errorf("%s: exit code %d, want %d: %s", strings.Join(args, " "), exit, code, out)
	}
	return string(out)
}

// command is one for PostgreSQL's settings, whose percent signs PostgreSQL replaces.
func (p *archivePlace) command(what string) string {
	return fmt.Sprintf("%s wal %s --socket %s --cluster main", p.program, what, p.socket)
}

// TestArchive has PostgreSQL archive and recover by its own settings, as its own OS user.
func TestArchive(t *testing.T) {
	t.Parallel()
	p := startArchivePlace(t)
	primary := wiretest.StartPostgres(t, wiretest.WithTrust(), wiretest.WithSetting("archive_mode", "on"),
		wiretest.WithSetting("archive_command", p.command("archive-push")+" %p"), wiretest.WithSetting("wal_level", "replica"))
	copied := p.copyOf(t, primary)
	do := func(s *postgres.Server, statements ...string) {
		t.Helper()
		if err := s.Exec(t.Context(), postgres.Superuser, statements...); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(s *postgres.Server, sql string) (text string) {
		t.Helper()
		if err := s.QueryRow(t.Context(), postgres.Superuser, "select "+sql, nil, &text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	do(primary, "create table t as select generate_series(1, 400000) n", "checkpoint", "insert into t values (-1)")
	last := ask(primary, "pg_walfile_name(pg_current_wal_lsn())")
	do(primary, "select pg_switch_wal()")
	waitFor(t, "the last segment is archived", func() bool {
		return ask(primary, "(coalesce(last_archived_wal, '') >= '"+last+"')::text from pg_stat_archiver") == "true"
	})
	primary.Kill()
	p.recover(t, copied, p.command("archive-get")+" %f %p")
	if got := ask(copied, "count(*) || ' ' || min(n) from t"); got != "400001 -1" {
		t.Errorf("there are %s", got)
	}
	// It goes on archiving on the timeline that it has begun.
	do(copied, "alter system set archive_mode = on", "alter system set archive_command = '"+p.command("archive-push")+" %p'")
	if err := copied.Stop(t.Context(), postgres.Fast); err != nil {
		t.Fatal(err)
	}
	if err := copied.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	do(copied, "insert into t values (-2)")
	last = ask(copied, "pg_walfile_name(pg_current_wal_lsn())")
	do(copied, "select pg_switch_wal()")
	waitFor(t, "the next timeline's segment is archived", func() bool {
		return ask(copied, "(coalesce(last_archived_wal, '') >= '"+last+"')::text from pg_stat_archiver") == "true"
	})
	// Without a daemon it is the configuration's owner who reads the store.
	into := filepath.Join(t.TempDir(), "x")
	p.run(t, 0, "wal", "archive-get", "-c", p.config, "--cluster", "main", last, into)
	p.run(t, 0, "wal", "archive-get", "-c", p.config, "--cluster", "main", "00000002.history", into)
	p.run(t, 1, "wal", "archive-get", "-c", p.config, "--cluster", "main", "000000020000000F000000FF", into)
	// What is no answer is never an exit code that says that there is no such file.
	for _, args := range [][]string{
		{"-c", p.config, "--cluster", "main", last},
		{"-c", p.config, "--clutser", "main", last, into},
		{"-c", p.config, last, into},
		{"-c", p.config, "--cluster", "nobody", last, into},
		{"-c", filepath.Join(p.folder, "none"), "--cluster", "main", last, into},
		{"--socket", filepath.Join(p.folder, "none"), "--cluster", "main", last, into},
		{"--socket", p.socket, "--cluster", "nobody", last, into},
	} {
		p.run(t, 200, append([]string{"wal", "archive-get"}, args...)...)
	}
	wal := filepath.Join(copied.Dir(), "pg_wal")
	p.run(t, 0, "wal", "archive-push", "-c", p.config, "--cluster", "main", filepath.Join(wal, "00000002.history"))
	p.run(t, 2, "wal", "archive-push", "--socket", p.socket, filepath.Join(wal, "00000002.history"))
	p.run(t, 1, "wal", "archive-push", "-c", p.config, "--cluster", "main", filepath.Join(wal, "none"))
	if os.Geteuid() == 0 {
		out, err := exec.Command("runuser", "-u", "postgres", "--", p.program, "wal", "archive-push", "--socket", p.socket, "--cluster", "other", filepath.Join(wal, "00000002.history")).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "os_user") {
			t.Errorf("another user's cluster takes it: %v %s", err, out)
		}
	}
}

// copyOf copies a server, to be recovered later.
func (p *archivePlace) copyOf(t *testing.T, primary *postgres.Server) *postgres.Server {
	t.Helper()
	folder := wiretest.ServerDir(t)
	s, err := postgres.Standby(t.Context(), wiretest.FindPostgres(t), primary, "copy", postgres.Config{
		Dir: filepath.Join(folder, "data"), SocketDir: wiretest.SocketDir(t, folder), Port: wiretest.FreePort(t), NoSync: true,
	})
	if err == nil {
		err = primary.Exec(t.Context(), postgres.Superuser, "select pg_drop_replication_slot('copy')")
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// recover has a copy recover by a restore_command, up to the end of what is archived.
func (p *archivePlace) recover(t *testing.T, s *postgres.Server, command string) {
	t.Helper()
	if err := os.Rename(filepath.Join(s.Dir(), "standby.signal"), filepath.Join(s.Dir(), "recovery.signal")); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(s.Dir(), "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "primary_conninfo = ''\nprimary_slot_name = ''\narchive_mode = off\nrestore_command = '%s'\n", command)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(s.Log())
			t.Logf("%s", log[max(0, len(log)-4000):])
		}
		s.Kill()
	})
	waitFor(t, "the end of recovery", func() bool {
		var is bool
		err := s.QueryRow(t.Context(), postgres.Superuser, "select pg_is_in_recovery()", nil, &is)
		return err == nil && !is
	})
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come: %s", what)
		}
	}
}

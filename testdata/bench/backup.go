package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"howdah/backup/store"
	"howdah/wire/postgres"
)

const (
	backedUp  = 20 // equal tenants, each a database
	fillScale = 10 // of pgbench in each: about 150 MB
)

// backupPlane is a cluster whose WAL and base backups are stored, and the programs that are
// measured on it. All of them run as the user that the server runs as.
type backupPlane struct {
	*bench
	server *postgres.Server
	dir    string // that user's
	binary string // Howdah
	size   float64
}

// runBackup runs the sections of -backup.
func (b *bench) runBackup(ctx context.Context) error {
	sections := []struct {
		name string
		run  func(context.Context, *backupPlane) error
	}{
		{"wal", b.runWAL}, {"base", b.runBase}, {"restore", b.runRestore}, {"slow", b.runSlow}, {"age", b.runAge},
	}
	var p *backupPlane
	var failed []error
	for _, section := range sections {
		if !b.wants(section.name) || ctx.Err() != nil {
			continue
		}
		if p == nil {
			var err error
			if p, err = b.startBackupPlane(ctx); p != nil {
				defer (&database{server: p.server}).stop()
			}
			if err != nil {
				return err
			}
		}
		if err := section.run(ctx, p); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", section.name, err))
			b.say("%v", failed[len(failed)-1])
		}
	}
	return errors.Join(failed...)
}

func (b *bench) startBackupPlane(ctx context.Context) (*backupPlane, error) {
	b.report.peer = "the other"
	server, err := b.startServer(ctx, "backed-up")
	if err != nil {
		return nil, err
	}
	p := &backupPlane{bench: b, server: server, dir: filepath.Join(b.dir, "backup"), binary: filepath.Join(b.dir, "howdah")}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return p, err
	}
	if err := errors.Join(postgres.Own(p.dir), copyProgram(b.programs.howdah, p.binary)); err != nil {
		return p, err
	}
	scale := fillScale
	if b.seconds == 1 { // a quick run
		scale = 1
	}
	b.say("making %d tenants of scale %d", backedUp, scale)
	for i := range backedUp {
		name := tenantNumber(i)
		if err := server.Exec(ctx, postgres.Superuser, "create database "+name); err != nil {
			return p, err
		}
		if _, err := output(exec.CommandContext(ctx, b.programs.pgbench, "-i", "-q", "-s", fmt.Sprint(scale), p.url(name))); err != nil {
			return p, err
		}
	}
	if err := server.Exec(ctx, postgres.Superuser, "checkpoint"); err != nil {
		return p, err
	}
	err = server.QueryRow(ctx, postgres.Superuser, "select sum(pg_database_size(oid))::float8 / 1e6 from pg_database", nil, &p.size)
	return p, err
}

func tenantNumber(i int) string { return fmt.Sprintf("t%02d", i) }

// url is that of the superuser, who may replicate.
func (p *backupPlane) url(database string) string { return p.server.URL(watcher, password, database) }

// spent is what a program has used until its end, with its children that it waited for.
type spent struct {
	seconds, cpu float64
	memory       float64 // MB, at the most
}

func (u *spent) add(v spent) {
	u.seconds, u.cpu, u.memory = u.seconds+v.seconds, u.cpu+v.cpu, max(u.memory, v.memory)
}

// measure runs a program to its end.
func (p *backupPlane) measure(ctx context.Context, argv ...string) (u spent, text string, err error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "TMPDIR="+p.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		if cmd.SysProcAttr.Credential, err = postgresCredential(); err != nil {
			return u, "", err
		}
	}
	begun := time.Now()
	text, err = output(cmd)
	u.seconds = time.Since(begun).Seconds()
	if cmd.ProcessState != nil {
		u.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		if rusage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			u.memory = float64(rusage.Maxrss) / 1e3
		}
	}
	return u, text, err
}

// fresh returns an empty folder of that name.
func (p *backupPlane) fresh(name string) (string, error) {
	dir := filepath.Join(p.dir, name)
	err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700))
	if err == nil {
		err = postgres.Own(dir)
	}
	return dir, err
}

// configure makes an empty store of that name, and returns the path of a configuration.
func (p *backupPlane) configure(ctx context.Context, name string) (config string, err error) {
	dir, err := p.fresh(name)
	if err != nil {
		return "", err
	}
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		return "", err
	}
	key := filepath.Join(dir, "identity")
	if err := errors.Join(os.WriteFile(key, []byte(identity+"\n"), 0o600), postgres.Own(key)); err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "[listen]\naddresses = [\"127.0.0.1:%d\"]\nunix_socket_dir = \"\"\n[admin]\nhttp = \"\"\n", port)
	fmt.Fprintf(&text, "[server]\nlog_level = \"warn\"\n[backup]\nstore = \"file://%s/store\"\nrecipients = [%q]\nidentity_file = %q\n", dir, recipient, key)
	fmt.Fprintf(&text, "[[cluster]]\nname = \"main\"\nmembers = [%q]\nadmin_url = %q\nreplication_url = %q\n",
		p.server.Address(), p.url(postgres.Superuser), p.url(postgres.Superuser))
	config = filepath.Join(dir, "howdah.toml")
	if err := errors.Join(os.WriteFile(config, []byte(text.String()), 0o644)); err != nil {
		return "", err
	}
	_, _, err = p.measure(ctx, p.binary, "backup", "init", "-c", config)
	return config, err
}

// begun is configure, with a slot and the first base backup, which the Howdah that receives
// takes by itself: nothing shall be measured beside that.
func (p *backupPlane) begun(ctx context.Context, name string) (config string, err error) {
	if config, err = p.configure(ctx, name); err != nil {
		return "", err
	}
	serve, err := p.receive(config)
	if err != nil {
		return "", err
	}
	defer serve.stop()
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		_, text, err := p.measure(ctx, p.binary, "backup", "list", "-c", config, "--json")
		if err != nil {
			return "", serve.explain(err)
		}
		if strings.Contains(text, `"id"`) {
			return config, nil
		}
	}
	return "", serve.explain(errors.New("there is no base backup"))
}

// receive starts a Howdah that stores WAL.
func (p *backupPlane) receive(config string) (*process, error) {
	return startProcess(filepath.Join(filepath.Dir(config), "serve.log"), p.binary, "serve", "-c", config)
}

// caughtUp is receive, and waits until what the server has is stored, but for what is not a
// whole segment yet.
func (p *backupPlane) caughtUp(ctx context.Context, config string) (*process, error) {
	serve, err := p.receive(config)
	if err != nil {
		return nil, err
	}
	begun, err := p.lsn(ctx, "select pg_current_wal_lsn()")
	if err == nil {
		err = p.stored(ctx, howdahSlot, begun-begun%(16<<20))
	}
	if err != nil {
		err = serve.explain(err)
		serve.stop()
		return nil, err
	}
	return serve, nil
}

// lsn asks the server for a position in the WAL.
func (p *backupPlane) lsn(ctx context.Context, query string, args ...any) (at int64, err error) {
	err = p.server.QueryRow(ctx, postgres.Superuser, "select coalesce((("+query+")::pg_lsn - '0/0')::int8, 0)", args, &at)
	return at, err
}

// stored waits until what is before a position is stored by whoever has a slot.
func (p *backupPlane) stored(ctx context.Context, slot string, until int64) error {
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		at, err := p.lsn(ctx, "select restart_lsn from pg_replication_slots where slot_name = $1", slot)
		if err != nil || at >= until {
			return err
		}
	}
	return fmt.Errorf("WAL is not stored up to %X", until)
}

// pgBackRest is a configuration of pgBackRest with a repository like Howdah's: compressed
// and encrypted, by one process. "" is that it is not there.
func (p *backupPlane) pgBackRest(ctx context.Context, name string) ([]string, error) {
	program, err := exec.LookPath("pgbackrest")
	if set := os.Getenv("HOWDAH_PGBACKREST"); set != "" {
		program, err = set, nil
	}
	if err != nil {
		p.report.note("pgBackRest is not installed: its figures are missing.")
		return nil, nil
	}
	dir, err := p.fresh(name)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "[global]\nrepo1-path=%s/repo\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=bench\n", dir)
	fmt.Fprintf(&text, "log-path=%s\nlock-path=%s\nspool-path=%s\nlog-level-file=off\nlog-level-console=warn\n", dir, dir, dir)
	fmt.Fprintf(&text, "compress-type=zst\ncompress-level=1\nprocess-max=1\nrepo1-bundle=y\nstart-fast=y\narchive-check=n\n")
	fmt.Fprintf(&text, "[main]\npg1-path=%s\npg1-port=%d\npg1-socket-path=%s\npg1-user=%s\n", p.server.Dir(), p.server.Port(), p.server.SocketDir(), postgres.Superuser)
	config := filepath.Join(dir, "pgbackrest.conf")
	if err := os.WriteFile(config, text.Bytes(), 0o644); err != nil {
		return nil, err
	}
	command := []string{program, "--config=" + config, "--stanza=main"}
	_, _, err = p.measure(ctx, append(command, "stanza-create")...)
	return command, err
}

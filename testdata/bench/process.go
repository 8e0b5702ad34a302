package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/wire/postgres"
)

// process is a pooler of ours that runs. It ends with us, however we end.
type process struct {
	child *postgres.Child
	log   string // file of its output
}

// startProcess runs a program in the background, as user postgres if we are
// root: PgBouncer refuses to run as root, and Howdah shall have the same.
func startProcess(log string, argv ...string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = filepath.Dir(log)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		if cmd.SysProcAttr.Credential, err = postgresCredential(); err != nil {
			return nil, err
		}
	}
	child, err := postgres.StartChild(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	return &process{child: child, log: log}, nil
}

func postgresCredential() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("look up the user poolers run as: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// stop kills the process: a pooler keeps nothing that a gentler end would save.
func (p *process) stop() {
	p.child.Signal(syscall.SIGKILL)
	<-p.child.Done()
}

// explain adds to an error how the process is doing and the end of its log.
func (p *process) explain(err error) error {
	select {
	case <-p.child.Done():
		err = errors.Join(err, fmt.Errorf("the process ended: %s", p.child.Outcome()))
	default:
	}
	text, readErr := os.ReadFile(p.log)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return fmt.Errorf("%w\n%s ends with:\n%s", err, filepath.Base(p.log), lastLines(string(text)))
}

// waitReady returns when a client can log in.
func (p *process) waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		conn, err := pgconn.Connect(ctx, url)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.child.Done():
			return p.explain(err)
		case <-ctx.Done():
			return p.explain(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// freePort returns a port of 127.0.0.1 nobody listens on, below those the
// kernel gives to outgoing connections.
func freePort() (int, error) {
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(20000))
		if err != nil {
			return 0, err
		}
		port := 12000 + int(n.Int64())
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port among 100 tried")
}

// makeTempDir makes the run's folder, one that user postgres may enter.
func makeTempDir() (string, error) {
	dir, err := os.MkdirTemp("", "howdah-bench-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// raiseOpenFiles lets us and our children hold so many connections. The plain
// system call is needed: a limit Go raised by itself is not handed to children.
func raiseOpenFiles(wanted uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read limit of open files: %w", err)
	}
	limit.Cur = max(limit.Cur, wanted)
	limit.Max = max(limit.Max, wanted) // which only root may raise
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise limit of open files to %d (ulimit -n, or run as root): %w", wanted, err)
	}
	return nil
}

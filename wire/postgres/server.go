package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// StopMode is how a server is asked to end.
type StopMode uint8

const (
	// Fast disconnects clients, rolls back what they were doing and writes a
	// checkpoint.
	Fast StopMode = iota
	// Smart waits until all clients have left.
	Smart
	// Immediate ends without a checkpoint; the next start recovers.
	Immediate
)

func (m StopMode) signal() syscall.Signal {
	switch m {
	case Smart:
		return syscall.SIGTERM
	case Immediate:
		return syscall.SIGQUIT
	default:
		return syscall.SIGINT
	}
}

// Server is one PostgreSQL server of this machine. Its methods may be called
// from any goroutine.
type Server struct {
	// static after it is made
	binaries Binaries
	cfg      Config
	account  account

	mu     sync.Mutex
	follow string // primary_conninfo of a standby, "" for a primary
	slot   string
	child  *Child // nil before the first Start
}

func newServer(b Binaries, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	name := "postgres"
	if cfg.Scratch {
		name = ScratchUser
	}
	a, err := accountOf(name)
	if err != nil {
		return nil, err
	}
	return &Server{binaries: b, cfg: cfg, account: a}, nil
}

// Dir is the data directory.
func (s *Server) Dir() string { return s.cfg.Dir }

// SocketDir is the folder of the Unix socket.
func (s *Server) SocketDir() string { return s.cfg.SocketDir }

// Host is the TCP address the server listens on.
func (s *Server) Host() string { return s.cfg.Host }

// Port is the port of TCP and of the socket's name.
func (s *Server) Port() int { return s.cfg.Port }

// Log is the file the server's log goes to.
func (s *Server) Log() string { return s.cfg.Log }

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort(s.cfg.Host, strconv.Itoa(s.cfg.Port)) }

// AdminURL logs in as superuser through the Unix socket, without a password:
// it works for the OS users the server was made to know (see config.go).
func (s *Server) AdminURL(database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.User(Superuser), Path: "/" + database,
		RawQuery: url.Values{"host": {s.cfg.SocketDir}, "port": {strconv.Itoa(s.cfg.Port)}}.Encode(),
	}).String()
}

// URL logs in over TCP. An empty password is left out.
func (s *Server) URL(user, password, database string) string {
	who := url.User(user)
	if password != "" {
		who = url.UserPassword(user, password)
	}
	return (&url.URL{Scheme: "postgres", User: who, Host: s.Address(), Path: "/" + database}).String()
}

// Start runs the server and returns when it accepts connections, or with the
// end of its log when it ended instead. When ctx ends first the server is
// killed. Starting a server that runs is an error.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runningLocked() {
		return fmt.Errorf("start PostgreSQL in %q: it runs already", s.cfg.Dir)
	}
	child, err := s.launchLocked()
	if err != nil {
		return fmt.Errorf("start PostgreSQL in %q: %w", s.cfg.Dir, err)
	}
	s.child = child
	if err := s.waitReady(ctx, child); err != nil {
		killServer(child)
		return fmt.Errorf("start PostgreSQL in %q: %w%s", s.cfg.Dir, err, logTail(s.cfg.Log))
	}
	return nil
}

func (s *Server) launchLocked() (_ *Child, err error) {
	log, err := os.OpenFile(s.cfg.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	// Place and port are given here, not in a file, so that a directory can be
	// moved and a port changed; everything else is the operator's to edit.
	args := []string{
		"-D", s.cfg.Dir, "-h", s.cfg.Host, "-p", strconv.Itoa(s.cfg.Port), "-k", s.cfg.SocketDir,
	}
	if s.follow != "" {
		args = append(args, "-c", "primary_conninfo="+s.follow, "-c", "primary_slot_name="+s.slot)
	}
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Override)) {
		args = append(args, "-c", name+"="+s.cfg.Override[name])
	}
	cmd := exec.Command(s.binaries.Path("postgres"), args...) //nolint:noctx // it outlives every context
	cmd.Stdout, cmd.Stderr = log, log
	if err := s.account.prepare(cmd, s.cfg.Dir); err != nil {
		return nil, err
	}
	return StartChild(cmd, Fast.signal())
}

// waitReady watches postmaster.pid, where the server notes its state: no
// authentication is involved and nothing is logged.
func (s *Server) waitReady(ctx context.Context, child *Child) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if pid, state := readPostmasterFile(s.cfg.Dir); pid == child.PID() && state == "ready" {
			return nil
		}
		select {
		case <-child.Done():
			return fmt.Errorf("it ended at once (%s)", child.Outcome())
		case <-ctx.Done():
			return fmt.Errorf("wait until it accepts connections: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Running says whether our server process lives.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runningLocked()
}

func (s *Server) runningLocked() bool {
	if s.child == nil {
		return false
	}
	select {
	case <-s.child.Done():
		return false
	default:
		return true
	}
}

// PID is the process id of the running server, 0 when it does not run.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.runningLocked() {
		return 0
	}
	return s.child.PID()
}

// Done is closed when the server that the last Start started has ended. It
// panics before the first Start.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil {
		panic("postgres: Done before Start")
	}
	return s.child.Done()
}

// Outcome says in words how the last server process ended. It may be called
// after Done is closed.
func (s *Server) Outcome() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child.Outcome()
}

// Stop ends the server and waits for it. When ctx ends first the server is
// killed and an error says so. A server that does not run is stopped already.
func (s *Server) Stop(ctx context.Context, mode StopMode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.runningLocked() {
		return nil
	}
	s.child.Signal(mode.signal())
	select {
	case <-s.child.Done():
		return nil
	case <-ctx.Done():
		killServer(s.child)
		return fmt.Errorf("stop PostgreSQL in %q: killed it: %w", s.cfg.Dir, ctx.Err())
	}
}

// Kill ends the server and all its processes with SIGKILL, as a crash of the
// machine would, and waits until they are gone.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runningLocked() {
		killServer(s.child)
	}
}

func logTail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil || len(text) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "\n" + filepath.Base(path) + " ends with:\n  " + strings.Join(lines[max(0, len(lines)-5):], "\n  ")
}

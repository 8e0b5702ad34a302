package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/wal"
	"howdah/wire/postgres"
)

// recovery is a server that recovers in a data directory until it is where it is to be,
// and to which nobody can log in over the network.
type recovery struct {
	binaries postgres.Binaries
	dir      string   // the data directory
	beside   string   // a folder of our own, the server user's: sockets, settings, a copy of the program
	get      []string // the command that gets WAL, without what it is to get and where to
	timeline uint32
	segment  replication.LSN     // the size of one
	extra    map[string]string   // settings beside those of quiet
	hba      string              // pg_hba.conf; "" lets nobody in
	passes   int                 // how often it was started
	progress func(base.Progress) // nil is nobody
	telling  sync.Mutex          // of progress, last and trouble
	last     replication.LSN     // where the last segment begins that was given
	trouble  error               // why it was not given one, the first time
	inPlace  *wal.InPlace        // what the segments go through
}

// quiet are settings under which a server does nothing but to recover, whatever its files
// say: a restored cluster archives nowhere, follows nobody, answers nobody, and starts
// nothing of its own (facts of PostgreSQL's manual, chapter "Continuous Archiving").
func quiet() map[string]string {
	return map[string]string{
		"archive_mode": "off", "archive_command": "", "primary_conninfo": "", "primary_slot_name": "", "synchronous_standby_names": "",
		"max_logical_replication_workers": "0", "shared_preload_libraries": "", "hot_standby": "off", "autovacuum": "off",
		"ssl": "off", "logging_collector": "off", "log_destination": "stderr", "log_min_messages": "warning", "lc_messages": "C",
		"huge_pages": "off", "shared_buffers": "128MB", "restart_after_crash": "off", "listen_addresses": "",
		"unix_socket_permissions": "0700", "external_pid_file": "", "recovery_target_action": "promote",
		"recovery_end_command": "", "archive_cleanup_command": "", "recovery_min_apply_delay": "0",
		"allow_in_place_tablespaces": "on", // which wal.InPlace makes of others
		// Not less than the server had whose WAL it is, and nobody knows how many that were.
		"max_prepared_transactions": "2000", "max_locks_per_transaction": "256", "track_commit_timestamp": "on",
		// In the data directory, and gone with it, though the server is killed.
		"dynamic_shared_memory_type": "mmap",
	}
}

// settings are those of the command line, for a target.
func (r *recovery) settings(t Target) map[string]string {
	s := quiet()
	// Not less than two segments, or the server does not start.
	s["min_wal_size"] = fmt.Sprintf("%dMB", max(80, 2*r.segment>>20))
	s["max_wal_size"] = fmt.Sprintf("%dMB", max(1024, 4*r.segment>>20))
	maps.Copy(s, r.extra)
	s["config_file"] = filepath.Join(r.beside, "postgresql.conf")
	s["hba_file"] = filepath.Join(r.beside, "pg_hba.conf")
	s["ident_file"] = filepath.Join(r.beside, "pg_ident.conf")
	// What is neither 0 nor 1, as of a program that has crashed, is no end of the WAL.
	s["restore_command"] = shellCommand(r.get) + " %f %p; s=$?; [ $s -le 1 ] || s=200; exit $s"
	s["recovery_target_timeline"] = fmt.Sprint(r.timeline)
	switch {
	case !t.Time.IsZero():
		s["recovery_target_time"] = t.Time.UTC().Format("2006-01-02 15:04:05.999999+00")
	case t.LSN != 0:
		s["recovery_target_lsn"] = t.LSN.String()
	case t.XID != 0:
		s["recovery_target_xid"] = fmt.Sprint(t.XID)
	case t.Name != "":
		s["recovery_target_name"] = t.Name
	}
	return s
}

// shellCommand quotes words for a shell, and the percent signs in them for PostgreSQL.
func shellCommand(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.NewReplacer("'", `'\''`, "%", "%%").Replace(w) + "'"
	}
	return strings.Join(quoted, " ")
}

var (
	// errEndOfWAL is of a server that has read all WAL there is, and has not met its target.
	errEndOfWAL = errors.New("all WAL was read before the target was met")
	// errTooEarly is of a server that has met its target while the base backup was taken.
	errTooEarly = errors.New("the target is before the end of the base backup")
)

// run recovers until a plan's target is met and the server has begun a timeline of its
// own, on which it goes on running.
func (r *recovery) run(ctx context.Context, p *Plan) (*postgres.Server, error) {
	s, err := r.start(ctx, p.Target)
	if errors.Is(err, errEndOfWAL) && p.Past != 0 {
		// No transaction has ended between the target and the end of all WAL that was
		// stored when the plan was made, which goes beyond the target: so the end is it.
		s, err = r.start(ctx, Target{})
	}
	if err != nil {
		return nil, err
	}
	if err := r.reached(p); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// reached is an error where a recovery has taken something for the end of the WAL that was
// none: it must have met its target, or have been given the last segment; and where a time
// was met before what is known to be older. Where it has ended
// does not tell: what is stored may end within a record, which may begin in the segment before.
func (r *recovery) reached(p *Plan) error {
	ended, err := r.ended()
	if err != nil {
		return err
	}
	switch {
	case p.Target.XID != 0 || p.Target.Name != "":
		return nil
	case p.Target != (Target{}) && r.passes == 1:
		if ended < behindRecord(p.Before.LSN, p.Identity.Segment) {
			return fmt.Errorf("it ended at %s, where something was committed that has a time of after the target: the primary's clock was put forward for a while, for at %s it was %s: restore to lsn:%s instead, or to another position",
				ended, p.Before.LSN, stamp(p.Before.Time), p.Before.LSN)
		}
		return nil
	case r.lastGiven() < (p.Until.LSN - 1).SegmentStart(p.Identity.Segment):
		return fmt.Errorf("it ended at %s, before all WAL was read that is stored, until %s", ended, p.Until.LSN)
	}
	return nil
}

// behindRecord returns where the last record ends, of a position at which the next one is to
// begin: that is behind the header of a page where the last one ends with the page before, or
// with a segment that was switched.
func behindRecord(next, segment replication.LSN) replication.LSN {
	const page, header, longHeader = 8192, 24, 40 // access/xlog_internal.h
	switch {
	case next%segment == longHeader:
		return next - longHeader
	case next%page == header && next%segment != header:
		return next - header
	}
	return next
}

// ended returns where the server's own timeline begins.
func (r *recovery) ended() (replication.LSN, error) {
	files, err := filepath.Glob(filepath.Join(r.dir, "pg_wal", "*.history"))
	if err != nil || len(files) == 0 {
		return 0, errors.Join(errors.New("the recovery has begun no timeline of its own"), err)
	}
	slices.Sort(files)
	text, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		return 0, err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	if len(fields) < 2 {
		return 0, fmt.Errorf("the history of its timeline, %s, does not say where it begins", files[len(files)-1])
	}
	return replication.ParseLSN(fields[1])
}

func (r *recovery) start(ctx context.Context, t Target) (*postgres.Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	r.passes++
	s, err := postgres.Open(r.binaries, postgres.Config{Dir: r.dir, SocketDir: r.beside, Port: port, Log: r.log(), Scratch: true, Override: r.settings(t)})
	if err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		text, _ := os.ReadFile(r.log()) // without it the error is told as it is
		switch {
		case strings.Contains(string(text), "recovery ended before configured recovery target was reached"):
			return nil, errEndOfWAL
		case strings.Contains(string(text), "requested recovery stop point is before consistent recovery point"):
			return nil, errTooEarly
		}
		return nil, err
	}
	return s, nil
}

// log is the server's log since it was started last.
func (r *recovery) log() string { return r.logOf(r.passes) }

func (r *recovery) logOf(pass int) string {
	return filepath.Join(r.beside, fmt.Sprintf("log.%d", pass))
}

// freePort returns a number for the name of a socket. Nobody listens on the port itself.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// files are what is read in place of the data directory's own.
func (r *recovery) files() map[string]string {
	return map[string]string{
		"postgresql.conf": "", "pg_ident.conf": "",
		"pg_hba.conf": cmp.Or(r.hba, "local all all reject\n"),
	}
}

// targetLine is a line that says where a recovery is to stop.
var targetLine = regexp.MustCompile(`(?m)^\s*recovery_target(_(time|lsn|name|xid|inclusive))?\s*=.*\n?`)

// dropTargets takes out of a file what an earlier recovery was to stop at: one that is set
// beside another is an error, and that cannot be unset from outside.
func dropTargets(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	rest := targetLine.ReplaceAll(text, nil)
	if len(rest) == len(text) {
		return nil
	}
	return os.WriteFile(path, rest, 0o600) // it stays its owner's
}

// prepare writes what the server starts by.
func (r *recovery) prepare(own func(path string) error) error {
	files := r.files()
	paths := map[string]string{}
	for name, text := range files {
		paths[filepath.Join(r.beside, name)] = text
	}
	paths[filepath.Join(r.dir, "recovery.signal")] = ""
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if err := os.WriteFile(path, []byte(paths[path]), 0o600); err != nil {
			return err
		}
		if err := own(path); err != nil {
			return err
		}
	}
	if err := dropTargets(filepath.Join(r.dir, "postgresql.auto.conf")); err != nil {
		return err
	}
	// Of a backup of a standby: it would follow, and never be done.
	if err := os.Remove(filepath.Join(r.dir, "standby.signal")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

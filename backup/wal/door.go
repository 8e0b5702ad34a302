package wal

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"howdah/backup/replication"
)

// Door is where the archive_commands and restore_commands of servers on this machine reach
// the process that has the store and its key: they run as the servers' OS users, who have
// neither. It serves a Unix socket, one connection for each file:
//
//	get NAME CLUSTER\n                            is answered as Serve does
//	push NAME SIZE SYSTEM MAJOR SEGMENT CLUSTER\n then SIZE bytes, and the SHA-256 of them;
//	                                              the last three numbers are Archived.Server
//	done\n                                        it is durable
//	trouble WHY\n                                 it is not stored, or that is not known
//
// What is pushed the client has read, by its own rights: no path is ever believed.
type Door struct {
	// May is an error for an OS user that may neither get nor push a cluster's WAL.
	May  func(cluster string, uid uint32) error
	Get  func(ctx context.Context, cluster, name string, into io.Writer) error
	Push func(ctx context.Context, cluster string, f Archived, data io.ReaderAt) error
	// Trouble is told when nobody can be let in for a while; nil: nobody is told.
	Trouble func(error)

	mu     sync.Mutex
	pushes map[string]chan struct{} // by cluster: has one for each file that is pushed
}

// pushesAtOnce bounds how many files of a cluster are in memory; archive_command pushes one
// at a time.
const pushesAtOnce = 2

// pushTime is for a whole file to come.
const pushTime = 2 * time.Minute

// Serve answers until the context is done, and closes the listener.
func (d *Door) Serve(ctx context.Context, l net.Listener) error {
	trouble := d.Trouble
	if trouble == nil {
		trouble = func(error) {}
	}
	return accept(ctx, l, trouble, d.answer)
}

// pushesOf returns where the pushes of a cluster take their places: those of one do not wait
// for those of another.
func (d *Door) pushesOf(cluster string) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pushes == nil {
		d.pushes = map[string]chan struct{}{}
	}
	if d.pushes[cluster] == nil {
		d.pushes[cluster] = make(chan struct{}, pushesAtOnce)
	}
	return d.pushes[cluster]
}

// answer answers one question. What goes wrong with the connection the other end sees.
func (d *Door) answer(ctx context.Context, conn net.Conn) {
	if conn.SetDeadline(time.Now().Add(questionTime)) != nil {
		return
	}
	from := bufio.NewReaderSize(conn, lineMost)
	line, err := from.ReadSlice('\n')
	if err != nil {
		return
	}
	word, rest, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
	a := &answer{conn: conn, sum: sha256.New()}
	switch word {
	case "get":
		name, cluster, _ := strings.Cut(rest, " ")
		if err := d.may(conn, cluster); err != nil {
			a.trouble(err)
			return
		}
		a.give(d.Get(ctx, cluster, name, a))
	case "push":
		if err := d.push(ctx, conn, from, rest); err != nil {
			a.trouble(err)
			return
		}
		a.line("done")
	}
}

func (d *Door) may(conn net.Conn, cluster string) error {
	uid, err := peer(conn)
	if err != nil {
		return err
	}
	return d.May(cluster, uid)
}

// peer returns the user at the other end of a Unix socket.
func peer(conn net.Conn) (uint32, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, errors.New("it is no Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return 0, fmt.Errorf("ask who is at the socket: %w", err)
	}
	return cred.Uid, nil
}

func (d *Door) push(ctx context.Context, conn net.Conn, from *bufio.Reader, question string) error {
	cluster, f, err := parsePush(question)
	if err != nil {
		return err
	}
	if err := d.may(conn, cluster); err != nil {
		return err
	}
	pushes := d.pushesOf(cluster) // of one that there is
	select {
	case pushes <- struct{}{}:
		defer func() { <-pushes }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s := &spool{size: f.Size}
	defer s.close()
	if err := receivePush(conn, from, s, time.Now().Add(pushTime)); err != nil {
		return err
	}
	return d.Push(ctx, cluster, f, s)
}

const largestSegment = 1 << 30

func parsePush(question string) (cluster string, f Archived, err error) {
	fields := strings.SplitN(question, " ", 6)
	if len(fields) != 6 {
		return "", f, errors.New("that is no question")
	}
	f.Name, f.Server.System, cluster = fields[0], fields[2], fields[5]
	if f.Size, err = strconv.ParseInt(fields[1], 10, 64); err != nil || f.Size < 0 || f.Size > largestSegment {
		return "", f, fmt.Errorf("%w: it has %.20s bytes", ErrNotWAL, fields[1])
	}
	major, err := strconv.Atoi(fields[3])
	if err != nil {
		return "", f, fmt.Errorf("%.20q is no version", fields[3])
	}
	segment, err := strconv.ParseUint(fields[4], 10, 31)
	if err != nil {
		return "", f, fmt.Errorf("%.20q is no size of segments", fields[4])
	}
	f.Server.Major, f.Server.Segment = major, replication.LSN(segment)
	return cluster, f, nil
}

// receivePush reads a file that is pushed, and its sum, of which each piece must come in
// time, and all of it until a moment.
func receivePush(conn net.Conn, from *bufio.Reader, s *spool, until time.Time) error {
	sum, buffer := sha256.New(), make([]byte, piece)
	for at := int64(0); at < s.size; {
		next := time.Now().Add(questionTime)
		if next.After(until) {
			next = until
		}
		if err := conn.SetDeadline(next); err != nil {
			return err
		}
		part := buffer[:min(int64(len(buffer)), s.size-at)]
		if _, err := io.ReadFull(from, part); err != nil {
			return fmt.Errorf("it broke off: %w", err)
		}
		sum.Write(part)
		if err := s.writeAt(part, at); err != nil {
			return err
		}
		at += int64(len(part))
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(from, want); err != nil {
		return fmt.Errorf("it broke off: %w", err)
	}
	if !bytes.Equal(want, sum.Sum(nil)) {
		return errors.New("what has come is not what was sent")
	}
	return nil
}

// ReadAt implements io.ReaderAt, for a spool that is full.
func (s *spool) ReadAt(p []byte, at int64) (int, error) {
	if at >= s.end {
		return 0, io.EOF
	}
	n, err := s.readAt(p[:min(int64(len(p)), s.end-at)], at)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// PushTo has whoever serves a Door store a file that OpenArchived has opened.
func PushTo(socket, cluster string, f Archived, data io.ReaderAt) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return fmt.Errorf("reach Howdah: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(conn, "push %s %d %s %d %d %s\n", f.Name, f.Size, f.Server.System, f.Server.Major, f.Server.Segment, cluster)
	if err == nil {
		err = sendPush(conn, f, data)
	}
	// Who refuses does not read all: why he does is worth more than that.
	line, readErr := bufio.NewReader(conn).ReadString('\n')
	line = strings.TrimSuffix(line, "\n")
	if why, ok := strings.CutPrefix(line, "trouble "); ok {
		return errors.New(why)
	}
	if err := errors.Join(err, readErr); err != nil {
		return broken(err)
	}
	if line != "done" {
		return fmt.Errorf("the answer is %.40q", line)
	}
	return nil
}

func sendPush(conn net.Conn, f Archived, data io.ReaderAt) error {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(conn, sum), io.NewSectionReader(data, 0, f.Size))
	if err == nil && n < f.Size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		_, err = conn.Write(sum.Sum(nil))
	}
	return err
}

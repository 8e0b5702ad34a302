package wal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// How a restore_command ends. From 126 on PostgreSQL gives up, and does not take it for the
// end of the WAL.
const (
	ExitDone    = 0
	ExitAbsent  = 1
	ExitTrouble = 200
)

// answerTime is for how long nothing may come before an answer is given up.
const answerTime = 10 * time.Minute

// Get is a restore_command: it has the file called name be given by who serves the socket,
// and puts it at path, whole, synced and in one step, or not at all. It returns the exit
// code, and what went wrong if that is ExitTrouble.
func Get(socket, name, path string) (exit int, err error) {
	return outcome(name, get(socket, name, path))
}

// GetOf is Get from a Door's socket, of a cluster.
func GetOf(socket, cluster, name, path string) (exit int, err error) {
	return outcome(name, get(socket, name+" "+cluster, path))
}

func outcome(name string, err error) (exit int, told error) {
	switch {
	case err == nil:
		return ExitDone, nil
	case errors.Is(err, ErrAbsent):
		return ExitAbsent, nil
	}
	return ExitTrouble, fmt.Errorf("get %q: %w", name, err)
}

func get(socket, question, path string) error {
	if strings.ContainsFunc(question, func(r rune) bool { return r < ' ' }) {
		return errors.New("that is no file's name")
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return fmt.Errorf("reach Howdah: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "get %s\n", question); err != nil {
		return err
	}
	from := bufio.NewReaderSize(conn, piece)
	line, err := from.ReadString('\n')
	if err != nil {
		return broken(err)
	}
	line = strings.TrimSuffix(line, "\n")
	if why, ok := strings.CutPrefix(line, "trouble "); ok {
		return errors.New(why)
	}
	switch line {
	case "absent":
		return ErrAbsent
	case "ok":
		return place(conn, from, path)
	}
	return fmt.Errorf("the answer is %.40q", line)
}

func broken(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("the answer breaks off: %w", err)
}

// place writes what comes to a file beside path, and gives it that name when all of it is
// there. The file beside has the same name each time: one that a killed process has left
// is written over.
func place(conn net.Conn, from *bufio.Reader, path string) (err error) {
	f, err := os.OpenFile(path+".howdah", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another restore_command is writing %q: %w", f.Name(), err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := f.Truncate(0); err != nil {
		return err
	}
	if err := receiveFile(conn, from, f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func receiveFile(conn net.Conn, from *bufio.Reader, to io.Writer) error {
	sum := sha256.New()
	for length := make([]byte, 4); ; {
		if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
			return err
		}
		if _, err := io.ReadFull(from, length); err != nil {
			return broken(err)
		}
		n := int64(binary.BigEndian.Uint32(length))
		if n == 0 {
			break
		}
		copied, err := io.CopyN(io.MultiWriter(to, sum), from, n)
		if err != nil && copied < n {
			return broken(err)
		}
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(from, want); err != nil {
		return broken(err)
	}
	if !bytes.Equal(want, sum.Sum(nil)) {
		return errors.New("what has come is not what was sent")
	}
	return nil
}

// syncFolder makes a name that was given in a folder durable.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

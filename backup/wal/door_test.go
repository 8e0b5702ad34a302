package wal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"howdah/backup/replication"
)

// fullTable is a listener while too many files are open.
type fullTable struct {
	net.Listener
	fails int
}

func (l *fullTable) Accept() (net.Conn, error) {
	if l.fails > 0 {
		l.fails--
		return nil, syscall.EMFILE
	}
	return l.Listener.Accept()
}

func TestServeGoesOnWithoutFiles(t *testing.T) {
	socket := filepath.Join(shortFolder(t), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := 0
	d := &Door{
		May:     func(string, uint32) error { return nil },
		Get:     func(context.Context, string, string, io.Writer) error { return nil },
		Trouble: func(error) { told++ },
	}
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, &fullTable{l, 3}) }()
	if exit, err := GetOf(socket, "main", "x", filepath.Join(t.TempDir(), "x")); exit != ExitDone || err != nil {
		t.Errorf("after a while without files: %d, %v", exit, err)
	}
	cancel()
	if err := <-done; err != nil || told != 1 {
		t.Errorf("%v; it was told %d times", err, told)
	}
}

func shortFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "wal") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// Who holds all places that a user may have keeps no other user out.
func TestUsers(t *testing.T) {
	var u users
	var leave []func()
	for range atOnce {
		l, err := u.enter(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	soon, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	for range heldMost - atOnce {
		go func() {
			_, err := u.enter(soon, 1)
			got <- err
		}()
	}
	for held := 0; held < heldMost; time.Sleep(time.Millisecond) {
		u.mu.Lock()
		held = u.of[1].held
		u.mu.Unlock()
	}
	if _, err := u.enter(t.Context(), 1); !errors.Is(err, errTooMany) {
		t.Errorf("one more than a user may have: %v", err)
	}
	l, err := u.enter(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	l()
	cancel()
	for range heldMost - atOnce {
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("one too many was let in: %v", err)
		}
	}
	leave[0]()
	if leave[0], err = u.enter(t.Context(), 1); err != nil {
		t.Error(err)
	}
	for _, l := range leave {
		l()
	}
	if len(u.of) > 0 {
		t.Errorf("of those who have gone there is %v", u.of)
	}
}

// A cluster's archive_command is answered while another cluster's pushes hold all places of
// theirs.
func TestPushesOfClustersDoNotWait(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	socket := door(t, &Door{
		May: func(string, uint32) error { return nil },
		Push: func(_ context.Context, cluster string, _ Archived, _ io.ReaderAt) error {
			if cluster == "slow" {
				held <- struct{}{}
				<-release
			}
			return nil
		},
	})
	data := fullSegment(1, 3*mib, mib)
	f := Archived{Name: replication.SegmentName(1, 3*mib, mib), Size: mib, Server: ofServer(mib)}
	push := func(cluster string) chan error {
		done := make(chan error, 1)
		go func() { done <- PushTo(socket, cluster, f, bytes.NewReader(data)) }()
		return done
	}
	var slow []chan error
	for range pushesAtOnce {
		slow = append(slow, push("slow"))
		<-held
	}
	select {
	case err := <-push("quick"):
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("one cluster's pushes wait for another's")
	}
	close(release)
	for _, done := range slow {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestPushTakesNoLongerThanItMay(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	begun := time.Now()
	err := receivePush(here, bufio.NewReader(here), &spool{size: mib}, begun.Add(50*time.Millisecond))
	if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) > questionTime/2 {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
}

package wal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"howdah/backup/replication"
)

func serve(t *testing.T, get func(ctx context.Context, name string, into io.Writer) error) (socket string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "wal") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	socket = filepath.Join(folder, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- Serve(ctx, l, get) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return socket
}

func TestGet(t *testing.T) {
	content := bytes.Repeat([]byte("wal "), 1<<20)
	socket := serve(t, func(_ context.Context, name string, into io.Writer) error {
		switch name {
		case "there":
			_, err := into.Write(content)
			return err
		case "empty":
			return nil
		case "breaks":
			if _, err := into.Write(content); err != nil {
				return err
			}
			return errors.New("the store has gone")
		case "trouble":
			return errors.New("no permission\nat all")
		}
		return ErrAbsent
	})
	folder := t.TempDir()
	path := filepath.Join(folder, "RECOVERYXLOG")
	for _, x := range []struct {
		name  string
		exit  int
		error string
		want  []byte
	}{
		{"there", ExitDone, "", content},
		{"empty", ExitDone, "", []byte{}},
		{"absent", ExitAbsent, "", nil},
		{"breaks", ExitTrouble, "breaks off", nil},
		{"trouble", ExitTrouble, "no permission; at all", nil},
		{"a\nb", ExitTrouble, "no file's name", nil},
	} {
		if err := os.WriteFile(path+".howdah", []byte("left by one that was killed"), 0o600); err != nil {
			t.Fatal(err)
		}
		exit, err := Get(socket, x.name, path)
		if exit != x.exit || (err == nil) != (x.error == "") || err != nil && !strings.Contains(err.Error(), x.error) {
			t.Errorf("%s: %d, %v", x.name, exit, err)
		}
		got, err := os.ReadFile(path)
		if !bytes.Equal(got, x.want) || (err == nil) != (x.want != nil) {
			t.Errorf("%s: %d bytes are there, %v", x.name, len(got), err)
		}
		os.Remove(path)
		os.Remove(path + ".howdah")
	}
	if exit, err := Get(filepath.Join(folder, "none"), "there", path); exit != ExitTrouble || err == nil {
		t.Errorf("nobody serves: %d, %v", exit, err)
	}
	if exit, err := Get(socket, "there", filepath.Join(folder, "none", "x")); exit != ExitTrouble || err == nil {
		t.Errorf("no folder: %d, %v", exit, err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestHalfAnAnswer cuts an answer off at each of its places.
func TestHalfAnAnswer(t *testing.T) {
	whole := record(t, func(into io.Writer) {
		if _, err := into.Write([]byte("some WAL")); err != nil {
			t.Error(err)
		}
	})
	var cut atomic.Int32
	folder, err := os.MkdirTemp("", "wal")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	l, err := net.Listen("unix", filepath.Join(folder, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 100))
			_, _ = conn.Write(whole[:cut.Load()])
			conn.Close()
		}
	}()
	path := filepath.Join(folder, "x")
	for n := range len(whole) + 1 {
		cut.Store(int32(n))
		exit, err := Get(filepath.Join(folder, "s"), "x", path)
		if _, missing := os.Stat(path); n < len(whole) && (exit != ExitTrouble || err == nil || missing == nil) || n == len(whole) && exit != ExitDone {
			t.Errorf("%d of %d bytes: %d, %v", n, len(whole), exit, err)
		}
	}
}

// record returns the bytes of an answer.
func record(t *testing.T, write func(into io.Writer)) []byte {
	socket := serve(t, func(_ context.Context, _ string, into io.Writer) error {
		write(into)
		return nil
	})
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("get x\n")); err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

func TestSourceFetchesAhead(t *testing.T) {
	r := claimed(t)
	for start := range 8 {
		putWhole(t, r, 1, replication.LSN(start+1)*mib)
	}
	putPart(t, r, 1, 9*mib, 0, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	s := NewSource(ctx, r, list(t, r), 0)
	get := func(name string) ([]byte, error) {
		var b bytes.Buffer
		err := s.Get(t.Context(), name, &b)
		return b.Bytes(), err
	}
	for start := range 8 {
		name := "00000001000000000000000" + string(rune('1'+start))
		if got, err := get(name); err != nil || !bytes.Equal(got, segmentOf(1, replication.LSN(start+1)*mib)) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if len(s.fetched) != aheadMost {
			t.Errorf("%d are fetched ahead", len(s.fetched))
		}
	}
	// The last one was fetched when less of it was there.
	<-s.fetched["000000010000000000000009"].done
	putPart(t, r, 1, 9*mib, 1000, 2000)
	want := segmentOf(1, 9*mib)
	clear(want[2000:])
	if got, err := get("000000010000000000000009"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	<-s.fetched["00000001000000000000000A"].done
	putWhole(t, r, 1, 10*mib)
	if got, err := get("00000001000000000000000A"); err != nil || !bytes.Equal(got, segmentOf(1, 10*mib)) {
		t.Errorf("one that came later: %d bytes, %v", len(got), err)
	}
	if _, err := get("00000001000000000000000B"); !errors.Is(err, ErrAbsent) {
		t.Error(err)
	}
	if _, err := get("00000002.history"); !errors.Is(err, ErrAbsent) {
		t.Error(err)
	}
	cancel()
	s.Wait()
	if got, err := get("000000010000000000000003"); err != nil || len(got) != mib {
		t.Errorf("nothing ahead any more: %d bytes, %v", len(got), err)
	}
	s = NewSource(t.Context(), r, list(t, r), 3*mib)
	if got, err := get("000000010000000000000001"); err != nil || len(got) != mib || len(s.fetched) != 1 {
		t.Errorf("up to the third: %d bytes, %v; %d are fetched ahead", len(got), err, len(s.fetched))
	}
}

package wal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

// fullSegment is one as PostgreSQL would write it, with its long header.
func fullSegment(timeline uint32, start, size replication.LSN) []byte {
	b := segmentOf(timeline, start)
	binary.LittleEndian.PutUint16(b[2:], longHeaderFlag)
	binary.LittleEndian.PutUint32(b[32:], uint32(size))
	return append(b, make([]byte, int(size)-len(b))...)
}

func ofServer(size replication.LSN) replication.Server {
	return replication.Server{System: "7", Major: 15, Segment: size}
}

// push has a file archived.
func push(t *testing.T, a *Archive, name string, data []byte) error {
	t.Helper()
	return a.Push(t.Context(), Archived{Name: name, Size: int64(len(data)), Server: ofServer(mib)}, bytes.NewReader(data))
}

func fetched1(t *testing.T, r *repository.Repository, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := list(t, r).Fetch(t.Context(), r, name, &b); err != nil {
		t.Errorf("fetch %s: %v", name, err)
	}
	return b.Bytes()
}

func TestPush(t *testing.T) {
	r := testRepository(t)
	a := &Archive{Repo: r}
	name := replication.SegmentName(1, 3*mib, mib)
	data := fullSegment(1, 3*mib, mib)
	for range 2 { // the second time it is there
		if err := push(t, a, name, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := push(t, &Archive{Repo: r}, name, data); err != nil { // after a restart
		t.Error(err)
	}
	if !bytes.Equal(fetched1(t, r, name), data) {
		t.Error("what is given back is not what was archived")
	}
	if i, err := r.Identity(t.Context()); err != nil || i.System != "7" || i.Major != 15 || i.Segment != mib {
		t.Errorf("the repository is of %+v, %v", i, err)
	}

	other := slices.Clone(data)
	other[mib-1]++
	if err := push(t, a, name, other); !errors.Is(err, ErrConflict) {
		t.Errorf("other contents under the same name: %v", err)
	}
	if !bytes.Equal(fetched1(t, r, name), data) {
		t.Error("it was replaced")
	}
	next := replication.SegmentName(1, 4*mib, mib)
	for what, test := range map[string]struct {
		name string
		data []byte
		is   error
		says string
	}{
		"cut off":             {next, fullSegment(1, 4*mib, mib)[:mib-8192], ErrNotWAL, "cut off"},
		"empty":               {next, nil, ErrNotWAL, "no first page"},
		"too long":            {next, append(fullSegment(1, 4*mib, mib), 0), ErrNotWAL, "cut off"},
		"zeros":               {next, make([]byte, mib), ErrNotWAL, "does not begin"},
		"another's place":     {next, fullSegment(1, 5*mib, mib), ErrNotWAL, "begins at 0/500000"},
		"another's timeline":  {next, fullSegment(2, 4*mib, mib), ErrNotWAL, "timeline 2"},
		"other segment size":  {next, fullSegment(1, 4*mib, 2*mib), repository.ErrForeign, "segments of 2097152"},
		"a name with a slash": {"../" + next, fullSegment(1, 4*mib, mib), ErrNotWAL, "no name"},
		"small letters":       {strings.ToLower("00000001000000000000000A"), fullSegment(1, 10*mib, mib), ErrNotWAL, "no name"},
		"no timeline":         {"00000000" + next[8:], fullSegment(1, 4*mib, mib), ErrNotWAL, ""},
		"a signal file":       {"recovery.signal", []byte("x"), ErrNotWAL, "no name"},
	} {
		if err := push(t, a, test.name, test.data); !errors.Is(err, orAny(test.is, err)) || err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", what, err)
		}
	}
	foreign := fullSegment(1, 4*mib, mib)
	binary.LittleEndian.PutUint64(foreign[24:], 8)
	if err := push(t, a, next, foreign); !errors.Is(err, repository.ErrForeign) {
		t.Errorf("of another system, whatever it is said to be of: %v", err)
	}
	for _, s := range []replication.Server{{System: "8", Major: 15, Segment: mib}, {System: "7", Major: 16, Segment: mib}} {
		if err := a.Push(t.Context(), Archived{Name: next, Size: mib, Server: s}, bytes.NewReader(foreign)); !errors.Is(err, repository.ErrForeign) {
			t.Errorf("of %+v: %v", s, err)
		}
	}
	if c := list(t, r); len(c.Timelines) != 1 || len(c.Timelines[0].Segments) != 1 || len(c.Odd) != 0 {
		t.Errorf("stored is %+v, %q", c.Timelines, c.Odd)
	}
}

func orAny(want, got error) error {
	if want == nil {
		return got
	}
	return want
}

func TestPushBesideAReceiver(t *testing.T) {
	r := claimed(t)
	a := &Archive{Repo: r}
	data := fullSegment(1, 3*mib, mib)
	name := replication.SegmentName(1, 3*mib, mib)
	put(t, r, partKey(1, 3*mib, mib, Span{0, 1000}), data[:1000])
	put(t, r, partKey(1, 3*mib, mib, Span{1000, 2000}), data[1001:2001])
	if err := push(t, a, name, data); !errors.Is(err, ErrConflict) {
		t.Errorf("a part says something else: %v", err)
	}
	put(t, r, partKey(1, 3*mib, mib, Span{1000, 2000}), data[1000:2000])
	if err := push(t, a, name, data); err != nil {
		t.Error(err)
	}
	// One that is damaged in the store is of no use to anybody, and stored again.
	key := r.Key(segmentKey(1, 3*mib, mib))
	if err := r.Store.Put(t.Context(), key, []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if err := push(t, a, name, data); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(fetched1(t, r, name), data) {
		t.Error("it is not whole")
	}
}

// TestPushOfWhatHasRotted archives again what is damaged in the store, though its trailer is
// not, and what somebody has deleted.
func TestPushOfWhatHasRotted(t *testing.T) {
	r := testRepository(t)
	a := &Archive{Repo: r}
	data := fullSegment(1, 3*mib, mib)
	copy(data[100:], segmentOf(1, 3*mib)[100:])
	name := replication.SegmentName(1, 3*mib, mib)
	if err := push(t, a, name, data); err != nil {
		t.Fatal(err)
	}
	key := r.Key(segmentKey(1, 3*mib, mib))
	body, _, err := r.Store.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	sealed, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	sealed[len(sealed)/2]++
	if err := r.Store.Put(t.Context(), key, sealed, nil); err != nil {
		t.Fatal(err)
	}
	if err := push(t, a, name, data); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(fetched1(t, r, name), data) {
		t.Error("the segment was taken for stored")
	}

	history := []byte("1\t0/3007D0\tno reason\n")
	if err := push(t, a, "00000002.history", history); err != nil {
		t.Fatal(err)
	}
	if err := r.Store.Delete(t.Context(), r.Key(historyKey(2))); err != nil {
		t.Fatal(err)
	}
	if err := push(t, a, "00000002.history", history); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(fetched1(t, r, "00000002.history"), history) {
		t.Error("the history was taken for stored")
	}
}

func TestPushALargeSegment(t *testing.T) {
	const size = 64 * mib
	r := testRepository(t)
	a := &Archive{Repo: r}
	data := fullSegment(1, size, size)
	f := Archived{Name: replication.SegmentName(1, size, size), Size: size, Server: ofServer(size)}
	for range 2 {
		if err := a.Push(t.Context(), f, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	c := list(t, r)
	if s := c.Timelines[0].Segments; len(s) != 1 || len(s[0].Parts) != 2 || s[0].end(size) != 2*size {
		t.Errorf("stored is %+v", s)
	}
	if !bytes.Equal(fetched1(t, r, f.Name), data) {
		t.Error("what is given back is not what was archived")
	}
}

func TestPushWhatIsBesideSegments(t *testing.T) {
	r := testRepository(t)
	a := &Archive{Repo: r}
	history := []byte("1\t0/3007D0\tno reason\n")
	partial, label := replication.SegmentName(1, 3*mib, mib)+".partial", replication.SegmentName(1, 3*mib, mib)+".00000028.backup"
	data := fullSegment(1, 3*mib, mib)
	if err := push(t, a, partial, data); err == nil || !strings.Contains(err.Error(), "no history file") {
		t.Errorf("a partial segment of which nobody knows where it ends: %v", err)
	}
	for range 2 {
		for name, text := range map[string][]byte{"00000002.history": history, label: []byte("START WAL LOCATION")} {
			if err := push(t, a, name, text); err != nil {
				t.Error(err)
			}
			if got := fetched1(t, r, name); !bytes.Equal(got, text) {
				t.Errorf("%s is %q", name, got)
			}
		}
		if err := push(t, a, partial, data); err != nil {
			t.Error(err)
		}
	}
	want := append(slices.Clone(data[:0x7d0]), make([]byte, mib-0x7d0)...)
	if got := fetched1(t, r, partial[:24]); !bytes.Equal(got, want) {
		t.Error("of the partial segment there is more, or less, than the way to timeline 2 has")
	}
	if err := list(t, r).Fetch(t.Context(), r, partial, io.Discard); !errors.Is(err, ErrAbsent) {
		t.Errorf("under its own name: %v", err)
	}
	for name, text := range map[string]string{"00000002.history": "1\t0/3007D8\tno reason\n", label: "STOP"} {
		if err := push(t, &Archive{Repo: r}, name, []byte(text)); !errors.Is(err, ErrConflict) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	for name, text := range map[string]string{"00000003.history": "nothing", "00000000.history": "1\t0/1\tx\n", "00000004.history": ""} {
		if err := push(t, a, name, []byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	// The partial segment of a timeline of which all is stored already adds nothing.
	putWhole(t, r, 1, 4*mib)
	putHistory(t, r, 5, "1\t0/4007D0\tno reason\n")
	if err := push(t, a, replication.SegmentName(1, 4*mib, mib)+".partial", fullSegment(1, 4*mib, mib)); err != nil {
		t.Error(err)
	}
}

// pgWAL makes a data directory with a pg_wal of segments.
func pgWAL(t *testing.T, segments ...replication.LSN) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "pg_wal")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "..", "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, start := range segments {
		if err := os.WriteFile(filepath.Join(folder, replication.SegmentName(2, start, mib)), fullSegment(2, start, mib), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestOpenArchived(t *testing.T) {
	folder := pgWAL(t, 3*mib)
	segment := filepath.Join(folder, replication.SegmentName(2, 3*mib, mib))
	history := filepath.Join(folder, "00000002.history")
	if err := os.WriteFile(history, []byte("1\t0/3007D0\tx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{segment, history} {
		f, a, err := OpenArchived(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		f.Close()
		if a.Server != ofServer(mib) || a.Name != filepath.Base(path) || a.Size == 0 {
			t.Errorf("%s: %+v", path, a)
		}
	}
	if HistoryBeside(segment) != history || HistoryBeside(history) != "" {
		t.Errorf("beside it is %q", HistoryBeside(segment))
	}
	link := filepath.Join(folder, replication.SegmentName(2, 4*mib, mib))
	if err := os.Symlink(segment, link); err != nil {
		t.Fatal(err)
	}
	lone := filepath.Join(t.TempDir(), "00000002.history")
	if err := os.WriteFile(lone, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, folder, filepath.Join(folder, "none"), filepath.Join(folder, "..", "PG_VERSION"), lone} {
		if f, _, err := OpenArchived(path); err == nil {
			f.Close()
			t.Errorf("%s was opened", path)
		}
	}
}

// door serves a Door on a socket.
func door(t *testing.T, d *Door) (socket string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "wal")
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
	go func() { done <- d.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return socket
}

func TestDoor(t *testing.T) {
	r := testRepository(t)
	a := &Archive{Repo: r}
	broken := false
	d := &Door{
		May: func(cluster string, uid uint32) error {
			if cluster != "main east" || int(uid) != os.Geteuid() {
				return fmt.Errorf("user %d may not", uid)
			}
			return nil
		},
		Get: func(ctx context.Context, _, name string, into io.Writer) error {
			return list(t, r).Fetch(ctx, r, name, into)
		},
		Push: func(ctx context.Context, _ string, f Archived, data io.ReaderAt) error {
			if broken {
				return errors.New("the store\nis away")
			}
			return a.Push(ctx, f, data)
		},
	}
	socket := door(t, d)
	path := filepath.Join(pgWAL(t, 3*mib), replication.SegmentName(2, 3*mib, mib))
	f, archived, err := OpenArchived(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := PushTo(socket, "other", archived, f); err == nil || !strings.Contains(err.Error(), "may not") {
		t.Errorf("another's cluster: %v", err)
	}
	if exit, err := GetOf(socket, "other", archived.Name, filepath.Join(t.TempDir(), "x")); exit != ExitTrouble || err == nil || !strings.Contains(err.Error(), "may not") {
		t.Errorf("another's cluster: %d %v", exit, err)
	}
	broken = true
	if err := PushTo(socket, "main east", archived, f); err == nil || !strings.Contains(err.Error(), "is away") {
		t.Errorf("a store that is away: %v", err)
	}
	broken = false
	into := filepath.Join(t.TempDir(), "x")
	_ = putPlain(t.Context(), r, historyKey(2), []byte("1\t0/300010\tx\n"))
	if _, err := r.Claim(t.Context(), ofServer(mib)); err != nil {
		t.Fatal(err)
	}
	if exit, err := GetOf(socket, "main east", archived.Name, into); exit != ExitAbsent || err != nil {
		t.Errorf("before it is stored: %d %v", exit, err)
	}
	if err := PushTo(socket, "main east", archived, f); err != nil {
		t.Fatal(err)
	}
	if exit, err := GetOf(socket, "main east", archived.Name, into); exit != ExitDone || err != nil {
		t.Errorf("%d %v", exit, err)
	}
	got, err := os.ReadFile(into)
	if want, _ := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("it is not what was stored: %v", err)
	}

	// Who breaks off, sends less or something else, has stored nothing.
	next := "push " + replication.SegmentName(2, 4*mib, mib) + " 1048576 7 15 1048576 main east\n"
	data := fullSegment(2, 4*mib, mib)
	for what, sent := range map[string][]byte{
		"half of it":    append([]byte(next), data[:mib/2]...),
		"a wrong sum":   append(append([]byte(next), data...), make([]byte, 32)...),
		"no sum":        append([]byte(next), data...),
		"nonsense":      []byte("push x\n"),
		"a huge number": []byte("push " + replication.SegmentName(2, 4*mib, mib) + " 99999999999 7 15 1048576 main east\n"),
		"nothing":       nil,
		"no end":        bytes.Repeat([]byte("x"), 2*lineMost),
	} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(sent) // which may be refused before it is read
		_ = conn.(*net.UnixConn).CloseWrite()
		if text, _ := io.ReadAll(conn); bytes.Contains(text, []byte("done")) {
			t.Errorf("%s: %q", what, text)
		}
		conn.Close()
	}
	if _, err := r.Store.Stat(t.Context(), r.Key(segmentKey(2, 4*mib, mib))); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("something is stored: %v", err)
	}
	if err := PushTo(filepath.Join(t.TempDir(), "none"), "main", archived, f); err == nil {
		t.Error("nobody serves, and it is stored")
	}
}

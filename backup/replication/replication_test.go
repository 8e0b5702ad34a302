package replication

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

func connect(t *testing.T, s *postgres.Server) *Conn {
	t.Helper()
	c, err := Connect(t.Context(), s.AdminURL(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func TestRealServer(t *testing.T) {
	s := wiretest.StartPostgres(t, wiretest.WithTrust(), wiretest.WithSetting("wal_level", "replica"))
	t.Run("WAL is what is in the server's files", func(t *testing.T) { testStream(t, s) })
	t.Run("a slot keeps others out", func(t *testing.T) { testSlots(t, s) })
	t.Run("a base backup has everything", func(t *testing.T) { testBase(t, s) })
	t.Run("a timeline ends", func(t *testing.T) { testPromotion(t, s) }) // last: a standby is made of s
}

func testStream(t *testing.T, s *postgres.Server) {
	c := connect(t, s)
	server := c.Server()
	if server.Segment != 16<<20 || server.Timeline != 1 || server.System == "" || server.Written == 0 {
		t.Fatalf("the server is %+v", server)
	}
	if slot, err := c.Slot(t.Context(), "wal"); slot != nil || err != nil {
		t.Fatalf("a slot that is not there: %+v, %v", slot, err)
	}
	if err := c.CreateSlot(t.Context(), "wal"); err != nil {
		t.Fatal(err)
	}
	slot, err := c.Slot(t.Context(), "wal")
	if err != nil || slot.Restart == 0 || slot.Restart > server.Written || slot.Timeline != 1 {
		t.Fatalf("the slot is %+v, %v", slot, err)
	}
	from := slot.Restart.SegmentStart(server.Segment)
	if err := c.Stream(t.Context(), "wal", from, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Exec(t.Context(), postgres.Superuser, "create table t as select generate_series(1, 10000) n"); err != nil {
		t.Fatal(err)
	}
	var text string
	if err := s.QueryRow(t.Context(), postgres.Superuser, "select pg_current_wal_flush_lsn()::text", nil, &text); err != nil {
		t.Fatal(err)
	}
	until, err := ParseLSN(text)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for at := from; at < until; {
		w, end, err := c.Receive(t.Context())
		if err != nil || end != nil {
			t.Fatalf("%+v, %v", end, err)
		}
		if w == nil {
			continue
		}
		if w.Start != at || w.End < at || time.Since(w.Sent).Abs() > time.Minute {
			t.Fatalf("a piece from %s, at %s, sent %s", w.Start, at, w.Sent)
		}
		got = append(got, w.Data...)
		at += LSN(len(w.Data))
	}
	if err := c.Report(until, until); err != nil {
		t.Fatal(err)
	}
	name := SegmentName(1, from, server.Segment)
	file, err := os.ReadFile(filepath.Join(s.Dir(), "pg_wal", name))
	if err != nil {
		t.Fatal(err)
	}
	if n := min(len(file), len(got)); !bytes.Equal(got[:n], file[:n]) {
		t.Errorf("%d bytes from %s on are not what is in %s", n, from, name)
	}
	// Time that is up does no harm.
	if err := s.Exec(t.Context(), postgres.Superuser, "select pg_switch_wal()"); err != nil {
		t.Fatal(err)
	}
	timeouts := 0
	for timeouts < 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, _, err := c.Receive(ctx)
		cancel()
		if err != nil && !Timeout(err) {
			t.Fatal(err)
		}
		if err != nil {
			timeouts++
		}
	}
	if slot, err = connect(t, s).Slot(t.Context(), "wal"); err != nil || slot.Restart != until {
		t.Errorf("the slot is %+v, %v; %s was reported", slot, err, until)
	}
}

func testSlots(t *testing.T, s *postgres.Server) {
	c, other := connect(t, s), connect(t, s)
	if err := c.CreateSlot(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	from := c.Server().Written.SegmentStart(c.Server().Segment)
	if err := c.Stream(t.Context(), "one", from, 1); err != nil {
		t.Fatal(err)
	}
	if err := other.Stream(t.Context(), "one", from, 1); !errors.Is(err, ErrSlotInUse) {
		t.Errorf("a second receiver: %v", err)
	}
	gone := connect(t, s)
	if err := gone.Stream(t.Context(), "", 0, 1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := gone.Receive(t.Context()); !Gone(err) {
		t.Errorf("WAL that is gone: %v", err)
	}
}

func testBase(t *testing.T, s *postgres.Server) {
	c := connect(t, s)
	b, err := c.BaseBackup(t.Context(), BaseOptions{Label: "it's a test"})
	if err != nil {
		t.Fatal(err)
	}
	if b.Start.LSN == 0 || len(b.Tablespaces) != 1 || b.Tablespaces[0].OID != 0 || b.Tablespaces[0].Size == 0 {
		t.Fatalf("it begins with %+v", b)
	}
	var into *bytes.Buffer
	var archives []string
	archive, manifest := new(bytes.Buffer), new(bytes.Buffer)
	for {
		p, err := b.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p == nil {
			break
		}
		switch p.Kind {
		case PartArchive:
			into, archives = archive, append(archives, p.Archive)
		case PartManifest:
			into = manifest
		case PartData:
			into.Write(p.Data)
		}
	}
	if b.Stop.LSN <= b.Start.LSN || !slices.Equal(archives, []string{"base.tar"}) {
		t.Errorf("from %+v to %+v, of %q", b.Start, b.Stop, archives)
	}
	if !strings.Contains(manifest.String(), `"Manifest-Checksum"`) {
		t.Errorf("the manifest is %.100q", manifest)
	}
	var names []string
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	for _, name := range []string{"backup_label", "base/1/PG_VERSION", "global/pg_control"} {
		if !slices.Contains(names, name) {
			t.Errorf("there is no %s", name)
		}
	}
}

func testPromotion(t *testing.T, s *postgres.Server) {
	standby := wiretest.StartStandby(t, s)
	c := connect(t, standby)
	from := c.Server().Written.SegmentStart(c.Server().Segment)
	if err := c.Stream(t.Context(), "", from, 1); err != nil {
		t.Fatal(err)
	}
	if err := standby.Exec(t.Context(), postgres.Superuser, "select pg_promote()"); err != nil {
		t.Fatal(err)
	}
	for {
		_, end, err := c.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if end == nil {
			continue
		}
		if end.Next != 2 || end.Start == 0 {
			t.Fatalf("it ends with %+v", end)
		}
		break
	}
	history, err := c.History(t.Context(), 2)
	if err != nil || !strings.HasPrefix(string(history), "1\t") {
		t.Errorf("the history is %q, %v", history, err)
	}
	if err := c.Stream(t.Context(), "", from, 2); err != nil {
		t.Error(err)
	}
}

func TestSegmentNames(t *testing.T) {
	for _, x := range []struct {
		timeline uint32
		l, size  LSN
		name     string
	}{
		{1, 0x16B374D848, 16 << 20, "0000000100000016000000B3"},
		{2, 0x16B374D848, 1 << 30, "000000020000001600000002"},
		{0xA, 0xFFFFFFFF, 1 << 20, "0000000A0000000000000FFF"},
	} {
		name := SegmentName(x.timeline, x.l, x.size)
		if name != x.name {
			t.Errorf("%s of %d bytes: %s, not %s", x.l, x.size, name, x.name)
		}
		timeline, start, err := ParseSegment(name, x.size)
		if timeline != x.timeline || start != x.l.SegmentStart(x.size) || err != nil {
			t.Errorf("%s: timeline %d, %s, %v", name, timeline, start, err)
		}
	}
	for _, name := range []string{"", "00000001000000160000000g", "000000010000001600000100", "00000002.history", "0000000a0000000000000001", "+0000001000000160000000B3"} {
		if _, _, err := ParseSegment(name, 16<<20); err == nil {
			t.Errorf("%q is a segment's name", name)
		}
	}
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte("w12345678123456781234567812345678"))
	f.Add([]byte("nbase.tar\x00\x00"))
	f.Add([]byte("p12345678"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePart(b); err == nil && p == nil {
			t.Error("neither a part nor an error")
		}
		if w, err := parseWAL(b); err == nil && w != nil && len(w.Data) != len(b)-walHeader {
			t.Errorf("%d of %d bytes", len(w.Data), len(b))
		}
		if l, err := ParseLSN(string(b)); err == nil {
			if again, err := ParseLSN(l.String()); again != l || err != nil {
				t.Errorf("%s reads as %s, %v", l, again, err)
			}
		}
		if timeline, start, err := ParseSegment(string(b), 16<<20); err == nil && SegmentName(timeline, start, 16<<20) != string(b) {
			t.Errorf("%q is %s on %d", b, start, timeline)
		}
	})
}

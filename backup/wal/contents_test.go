package wal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
)

const mib = 1 << 20

// testRepository is an empty one with segments of 1 MiB, that can be read too.
func testRepository(t *testing.T) *repository.Repository {
	return &repository.Repository{Store: storetest.NewDir(t), Sealer: storetest.NewSealer(t), Cluster: "main"}
}

func claimed(t *testing.T) *repository.Repository {
	r := testRepository(t)
	if _, err := r.Claim(t.Context(), replication.Server{System: "7", Major: 15, Segment: mib}); err != nil {
		t.Fatal(err)
	}
	return r
}

// segmentOf makes the contents of a segment, the same each time, with the header that
// PostgreSQL would write.
func segmentOf(timeline uint32, start replication.LSN) []byte {
	b := make([]byte, mib)
	random := rand.New(rand.NewPCG(uint64(timeline), uint64(start)))
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], random.Uint64())
	}
	binary.LittleEndian.PutUint16(b, 0xD110)
	binary.LittleEndian.PutUint32(b[4:], timeline)
	binary.LittleEndian.PutUint64(b[8:], uint64(start))
	binary.LittleEndian.PutUint64(b[24:], 7)
	return b
}

func put(t *testing.T, r *repository.Repository, key string, data []byte, samples ...Sample) {
	t.Helper()
	if _, err := r.Sealer.Put(t.Context(), r.Store, r.Key(key), data, encodeSamples(samples)); err != nil {
		t.Fatal(err)
	}
}

func putWhole(t *testing.T, r *repository.Repository, timeline uint32, start replication.LSN) {
	t.Helper()
	put(t, r, segmentKey(timeline, start, mib), segmentOf(timeline, start))
}

func putPart(t *testing.T, r *repository.Repository, timeline uint32, start, from, to replication.LSN, samples ...Sample) {
	t.Helper()
	put(t, r, partKey(timeline, start, mib, Span{from, to}), segmentOf(timeline, start)[from:to], samples...)
}

func putHistory(t *testing.T, r *repository.Repository, timeline uint32, text string) {
	t.Helper()
	if err := putPlain(t.Context(), r, historyKey(timeline), []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, r *repository.Repository) *Contents {
	t.Helper()
	c, err := List(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func at(timeline uint32, l replication.LSN) replication.Position {
	return replication.Position{LSN: l, Timeline: timeline}
}

func TestListIsNotTakenIn(t *testing.T) {
	r := claimed(t)
	putWhole(t, r, 1, 3*mib)
	putPart(t, r, 1, 4*mib, 0, 100)
	for _, key := range []string{
		"wal/00000001/000000020000000000000003", "wal/00000001/000000010000000000000003.parts/0-8", "wal/00000001/x",
		"wal/00000001/000000010000000000000003.parts/00000008-00000008", "wal/00000001/000000010000000000000003.parts/00000000-00100001",
		"wal/1.history", "wal/00000000.history", "wal/00000001/0000000100000000000003",
	} {
		put(t, r, key, []byte("x"))
	}
	c := list(t, r)
	if len(c.Odd) != 8 || len(c.Timelines) != 1 || len(c.Timelines[0].Segments) != 2 {
		t.Errorf("there are %q, and %+v", c.Odd, c.Timelines)
	}
	if got, err := c.Reaches(at(1, 3*mib+5), 0, 0); err != nil || got != at(1, 4*mib+100) {
		t.Errorf("it reaches %+v, %v", got, err)
	}
	if err := r.Store.Put(t.Context(), r.Key(historyKey(2)), []byte("1\t0/400000\tx\n"), nil); err != nil {
		t.Fatal(err)
	}
	gap := &Gap{From: at(1, 2*mib), To: at(1, 3*mib), Why: "the slot was lost"}
	if err := r.Store.Put(t.Context(), r.Key(gap.key()), []byte("{}"), nil); err != nil {
		t.Fatal(err)
	}
	// What is damaged does not hide the rest.
	c = list(t, r)
	if want := []string{r.Key(historyKey(2)), r.Key(gap.key())}; !slices.Equal(c.Damaged, want) || len(c.Gaps) != 0 {
		t.Errorf("damaged are %q, not %q; the gaps are %v", c.Damaged, want, c.Gaps)
	}
	if got, err := c.Reaches(at(1, 3*mib+5), 0, 1); err != nil || got != at(1, 4*mib+100) {
		t.Errorf("it reaches %+v, %v", got, err)
	}
	if _, err := c.Reaches(at(1, 3*mib+5), 0, 0); !errors.Is(err, ErrHole) || !strings.Contains(err.Error(), "history file of timeline 2") {
		t.Errorf("to a timeline whose history is damaged: %v", err)
	}
	// Who knows better replaces it.
	if err := errors.Join(putGap(t.Context(), r, gap), putPlain(t.Context(), r, historyKey(2), []byte("1\t0/400000\tx\n"))); err != nil {
		t.Fatal(err)
	}
	if c = list(t, r); len(c.Damaged) > 0 || len(c.Gaps) != 1 || len(c.timeline(2).Legs) != 2 {
		t.Errorf("then damaged are %q; the gaps are %v", c.Damaged, c.Gaps)
	}
	if err := putPlain(t.Context(), r, historyKey(2), []byte("1\t0/500000\tx\n")); !errors.Is(err, ErrConflict) {
		t.Errorf("another history: %v", err)
	}
}

func TestReaches(t *testing.T) {
	r := claimed(t)
	for _, start := range []replication.LSN{3, 4, 5, 7} {
		putWhole(t, r, 1, start*mib)
	}
	putPart(t, r, 1, 8*mib, 0, 1000)
	putPart(t, r, 1, 8*mib, 900, 5000)
	putPart(t, r, 1, 8*mib, 6000, 7000)
	gap := &Gap{From: at(1, 6*mib), To: at(1, 7*mib), Why: "the slot was lost"}
	if err := putGap(t.Context(), r, gap); err != nil {
		t.Fatal(err)
	}
	c := list(t, r)
	for _, x := range []struct {
		from   replication.Position
		target replication.LSN
		want   replication.Position
		error  string
	}{
		{at(1, 3*mib), 5 * mib, at(1, 5*mib), ""},
		{at(1, 3*mib+77), 6 * mib, at(1, 6*mib), ""},
		{at(1, 3*mib), 6*mib + 1, at(0, 0), "the slot was lost"},
		{at(1, 3*mib), 0, at(0, 0), "the slot was lost"},
		{at(1, 2*mib), 5 * mib, at(0, 0), "hole at 0/200000"},
		{at(1, 7*mib), 0, at(1, 8*mib+5000), ""},
		{at(1, 7*mib), 8*mib + 5000, at(1, 8*mib+5000), ""},
		{at(1, 7*mib), 8*mib + 5001, at(0, 0), "up to 0/801388 only"},
		{at(1, 9*mib), 0, at(1, 9*mib), ""},
		{at(2, 3*mib), 0, at(0, 0), "timeline 2 does not lead to timeline 1"},
	} {
		got, err := c.Reaches(x.from, x.target, 0)
		if x.error == "" && err != nil || x.error != "" && (err == nil || !strings.Contains(err.Error(), x.error)) || got != x.want {
			t.Errorf("from %+v to %s: %+v, %v", x.from, x.target, got, err)
		}
	}
	for from, want := range map[replication.LSN]replication.LSN{3 * mib: 6 * mib, 5*mib + 1: 6 * mib, 7 * mib: 8*mib + 5000, 9 * mib: 9 * mib} {
		if got, err := c.Complete(at(1, from), 0); err != nil || got != at(1, want) {
			t.Errorf("from %s it is complete up to %+v, %v", from, got, err)
		}
	}
	if _, err := c.Reaches(at(1, 3*mib), 0, 2); err == nil || !strings.Contains(err.Error(), "nothing is stored of timeline 2") {
		t.Errorf("a timeline that is not there: %v", err)
	}
}

func TestReachesAcrossTimelines(t *testing.T) {
	r := claimed(t)
	for _, start := range []replication.LSN{3, 4, 5} {
		putWhole(t, r, 1, start*mib)
	}
	putPart(t, r, 1, 6*mib, 0, 9000) // past the switch, at 6 MiB + 0x1000
	putHistory(t, r, 2, "1\t0/601000\tno recovery target specified\n")
	want := func(what string, from replication.Position, target replication.LSN, timeline uint32, want replication.Position) {
		t.Helper()
		if got, err := list(t, r).Reaches(from, target, timeline); err != nil || got != want {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	want("the way ends where the next timeline begins", at(1, 3*mib), 0, 0, at(1, 6*mib+0x1000))
	want("the old timeline goes on", at(1, 3*mib), 0, 1, at(1, 6*mib+9000))
	putPart(t, r, 2, 6*mib, 0, 100)
	want("less than the timeline before has", at(1, 3*mib), 0, 0, at(1, 6*mib+0x1000))
	putPart(t, r, 2, 6*mib, 0, 0x2000)
	want("the new timeline", at(1, 3*mib), 0, 0, at(2, 6*mib+0x2000))
	putWhole(t, r, 2, 6*mib)
	putWhole(t, r, 2, 7*mib)
	want("segments of the new timeline", at(1, 3*mib), 0, 0, at(2, 8*mib))
	want("from the new timeline", at(2, 7*mib), 7*mib+5, 2, at(2, 7*mib+5))
	if _, err := list(t, r).Reaches(at(1, 6*mib+0x1001), 0, 0); err == nil || !strings.Contains(err.Error(), "is behind 0/601000") {
		t.Errorf("from what the way has left: %v", err)
	}
	if _, err := list(t, r).Reaches(at(2, 5*mib), 0, 0); err == nil || !strings.Contains(err.Error(), "before timeline 2 begins") {
		t.Errorf("from before the timeline: %v", err)
	}
	putWhole(t, r, 3, 8*mib)
	if _, err := list(t, r).Reaches(at(1, 3*mib), 0, 0); err == nil || !strings.Contains(err.Error(), "the history file of timeline 3 is missing") {
		t.Errorf("without a history: %v", err)
	}
	if err := r.Store.Delete(t.Context(), r.Key(segmentKey(2, 6*mib, mib))); err != nil {
		t.Fatal(err)
	}
	if _, err := list(t, r).Reaches(at(1, 3*mib), 0, 2); !errors.Is(err, ErrHole) {
		t.Errorf("a hole in the segment of the switch: %v", err)
	}
}

// TestNextIsTheFirstHole is of where a receiver goes on, beside an archive_command.
func TestNextIsTheFirstHole(t *testing.T) {
	const switched = 6*mib + 0x1000
	r := claimed(t)
	putWhole(t, r, 1, 4*mib)
	putPart(t, r, 1, 5*mib, 0, 5000)
	s := &session{legs: []Leg{{Timeline: 1, End: switched}, {Timeline: 2, Begin: switched}}, server: ofServer(mib)}
	want := func(what string, first, want replication.Position) {
		t.Helper()
		s.contents = list(t, r)
		if got := s.next(first); got != want {
			t.Errorf("%s: it goes on at %+v, not %+v", what, got, want)
		}
	}
	want("nothing of timeline 2", at(1, 4*mib), at(1, 5*mib+5000))
	putHistory(t, r, 2, "1\t0/601000\tno recovery target specified\n")
	for start := replication.LSN(6); start < 6+2*behind; start++ {
		putWhole(t, r, 2, start*mib)
	}
	end := at(2, (6+2*behind)*mib)
	want("what the slot keeps of timeline 1", at(1, 4*mib), at(1, 5*mib+5000))
	want("a slot on the other side of it", at(2, switched), end)
	want("a slot at the end", end, end)
	putWhole(t, r, 1, 5*mib)
	want("all is there", at(1, 4*mib), end)

	if err := r.Store.Delete(t.Context(), r.Key(segmentKey(2, 10*mib, mib))); err != nil {
		t.Fatal(err)
	}
	want("a hole long ago", at(1, 4*mib), at(2, 10*mib))
	if err := putGap(t.Context(), r, &Gap{From: at(2, 10*mib), To: at(2, 11*mib), Why: "it was lost"}); err != nil {
		t.Fatal(err)
	}
	want("it is known", at(1, 4*mib), end)
	if err := r.Store.Delete(t.Context(), r.Key(segmentKey(2, 20*mib, mib))); err != nil {
		t.Fatal(err)
	}
	want("another behind it", at(1, 4*mib), at(2, 20*mib))
}

func fetch(c *Contents, r *repository.Repository, name string) ([]byte, error) {
	var b bytes.Buffer
	err := c.Fetch(context.Background(), r, name, &b)
	return b.Bytes(), err
}

func fetchOne(r *repository.Repository, name string) ([]byte, error) {
	var b bytes.Buffer
	err := Fetch(context.Background(), r, name, &b)
	return b.Bytes(), err
}

func TestFetch(t *testing.T) {
	r := claimed(t)
	putWhole(t, r, 1, 3*mib)
	putPart(t, r, 1, 4*mib, 0, 1000)
	putPart(t, r, 1, 4*mib, 500, 2000)
	putPart(t, r, 1, 4*mib, 3000, 4000)
	c := list(t, r)
	wantFile := func(name string, want []byte) {
		t.Helper()
		if got, err := fetch(c, r, name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if got, err := fetchOne(r, name); c.Timeline == 0 && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("%s alone: %d bytes, %v", name, len(got), err)
		}
	}
	wantNone := func(name string, want error) {
		t.Helper()
		if got, err := fetch(c, r, name); !errors.Is(err, want) || len(got) > 0 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if got, err := fetchOne(r, name); c.Timeline == 0 && (!errors.Is(err, want) || len(got) > 0) {
			t.Errorf("%s alone: %d bytes, %v", name, len(got), err)
		}
	}
	padded := segmentOf(1, 4*mib)
	clear(padded[2000:])
	wantFile("000000010000000000000003", segmentOf(1, 3*mib))
	wantFile("000000010000000000000004", padded)
	wantNone("000000010000000000000005", ErrAbsent)
	wantNone("000000020000000000000004", ErrAbsent)
	wantNone("00000002.history", ErrAbsent)
	wantNone("000000010000000000000003.00000028.backup", ErrAbsent)
	for _, name := range []string{"../identity", "RECOVERYXLOG", "", "000000010000000000000003/x", "x.history"} {
		if got, err := fetch(c, r, name); err == nil || errors.Is(err, ErrAbsent) || len(got) > 0 {
			t.Errorf("%q: %d bytes, %v", name, len(got), err)
		}
	}

	putHistory(t, r, 2, "1\t0/4003E8\tx\n") // at byte 1000
	wantFile("00000002.history", []byte("1\t0/4003E8\tx\n"))
	c = list(t, r)
	wantFile("000000010000000000000004", padded)
	c.Timeline = 2
	cut := bytes.Clone(padded)
	clear(cut[1000:])
	wantFile("000000010000000000000004", cut)
	wantNone("000000010000000000000005", ErrAbsent)
	putPart(t, r, 2, 4*mib, 0, 900)
	c = list(t, r)
	wantNone("000000020000000000000004", ErrAbsent)
	putWhole(t, r, 2, 4*mib)
	wantFile("000000020000000000000004", segmentOf(2, 4*mib)) // newer than the list
	c = list(t, r)
	wantNone("000000010000000000000004", ErrAbsent)
	c.Timeline = 1
	wantFile("000000010000000000000004", padded)
	wantNone("000000020000000000000004", ErrAbsent)
	wantNone("00000002.history", ErrAbsent)

	listed := &listed{Store: r.Store}
	r.Store = listed
	if got, err := fetchOne(r, "000000010000000000000003"); err != nil || len(got) != mib || listed.keys > 2 {
		t.Errorf("a whole segment alone: %d bytes, %v; %d keys were listed", len(got), err, listed.keys)
	}
}

// listed counts the keys that are listed of a store.
type listed struct {
	store.Store
	keys int
}

func (l *listed) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for info, err := range l.Store.List(ctx, prefix) {
			l.keys++
			if !yield(info, err) {
				return
			}
		}
	}
}

func TestFetchFindsWhatIsWrong(t *testing.T) {
	r := claimed(t)
	c := list(t, r)
	key := segmentKey(1, 3*mib, mib)
	for what, data := range map[string][]byte{
		"too short":           segmentOf(1, 3*mib)[:mib-1],
		"too long":            append(segmentOf(1, 3*mib), 0),
		"another segment":     segmentOf(1, 4*mib),
		"a later timeline":    segmentOf(2, 3*mib),
		"another's system":    func() []byte { b := segmentOf(1, 3*mib); b[24] = 8; return b }(),
		"not even one header": {},
	} {
		put(t, r, key, data)
		if got, err := fetch(c, r, "000000010000000000000003"); !errors.Is(err, store.ErrDamaged) || len(got) > 0 {
			t.Errorf("%s: %d bytes, %v", what, len(got), err)
		}
	}
	if err := r.Store.Delete(t.Context(), r.Key(key)); err != nil {
		t.Fatal(err)
	}
	putPart(t, r, 1, 3*mib, 0, 1000)
	other := segmentOf(1, 3*mib)
	other[999]++
	put(t, r, partKey(1, 3*mib, mib, Span{900, 2000}), other[900:2000])
	if got, err := fetch(c, r, "000000010000000000000003"); !errors.Is(err, store.ErrDamaged) || len(got) > 0 {
		t.Errorf("parts that disagree: %d bytes, %v", len(got), err)
	}

	// Damage anywhere, and no key.
	putWhole(t, r, 1, 5*mib)
	body, _, err := r.Store.Get(t.Context(), r.Key(segmentKey(1, 5*mib, mib)), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	if _, err := sealed.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	body.Close()
	for range 20 {
		damaged := bytes.Clone(sealed.Bytes())
		damaged[rand.IntN(len(damaged))] ^= 1 << rand.IntN(8)
		if err := r.Store.Put(t.Context(), r.Key(segmentKey(1, 5*mib, mib)), damaged, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := fetch(c, r, "000000010000000000000005"); err == nil || errors.Is(err, ErrAbsent) || len(got) > 0 {
			t.Errorf("a damaged one: %d bytes, %v", len(got), err)
		}
		if err := r.Store.Put(t.Context(), r.Key(segmentKey(1, 5*mib, mib)), damaged[:rand.IntN(len(damaged))], nil); err != nil {
			t.Fatal(err)
		}
		if got, err := fetch(c, r, "000000010000000000000005"); err == nil || errors.Is(err, ErrAbsent) || len(got) > 0 {
			t.Errorf("one that was cut off: %d bytes, %v", len(got), err)
		}
	}
	noKey := *r
	if noKey.Sealer, err = store.NewSealer([]string{"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := fetch(c, &noKey, "000000010000000000000005"); !errors.Is(err, store.ErrNoIdentity) {
		t.Errorf("without a key: %v", err)
	}
}

func TestLargeSegmentsAreInAFile(t *testing.T) {
	s := &spool{size: inMemory + 10}
	defer s.close()
	if err := errors.Join(s.writeAt([]byte("abc"), 0), s.writeAt([]byte("bcde"), 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.writeAt([]byte("x"), 1); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("other contents: %v", err)
	}
	var out bytes.Buffer
	if err := s.writeTo(&out, 4); err != nil || out.Len() != inMemory+10 || !bytes.HasPrefix(out.Bytes(), []byte("abcd\x00\x00")) {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	if _, err := os.Stat(s.file.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

func TestTargets(t *testing.T) {
	r := claimed(t)
	start := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	sample := func(l replication.LSN, seconds int) Sample {
		return Sample{l, start.Add(time.Duration(seconds) * time.Second)}
	}
	putPart(t, r, 1, 3*mib, 0, 1000, sample(3*mib+100, 1), sample(3*mib+900, 2))
	putPart(t, r, 1, 3*mib, 1000, 2000)
	putPart(t, r, 1, 3*mib, 2000, 3000, sample(3*mib+3000, 10))
	putPart(t, r, 1, 3*mib, 3000, 9000, sample(3*mib+3001, 11), sample(3*mib+8000, 12))
	want := func(c *Contents, seconds float64, want replication.LSN) {
		t.Helper()
		got, reachable, err := c.TargetOf(t.Context(), r, start.Add(time.Duration(seconds*float64(time.Second))))
		if err != nil || got != want || reachable != (want != 0) {
			t.Errorf("after %v seconds: %s, %v, %v", seconds, got, reachable, err)
		}
	}
	c := list(t, r)
	want(c, -100, 3*mib+100)
	want(c, 1, 3*mib+900)
	want(c, 2, 3*mib+3000)
	want(c, 9.9, 3*mib+3000)
	want(c, 11.5, 3*mib+8000)
	want(c, 12, 0)
	if err := putHeartbeat(t.Context(), r, heartbeat{1, 3*mib + 9000, start.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	want(c, 12, 3*mib+9000)
	want(c, 60, 0)
	putHistory(t, r, 2, "1\t0/300BB8\tx\n") // at byte 3000
	putPart(t, r, 2, 3*mib, 0, 9000, sample(3*mib+8500, 30))
	want(list(t, r), 10, 3*mib+8500)
	c = list(t, r)
	c.Timeline = 1
	want(c, 10, 3*mib+3001)
}

func TestPassing(t *testing.T) {
	start := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	sample := func(l replication.LSN, minutes float64) Sample {
		return Sample{3*mib + l, start.Add(time.Duration(minutes * float64(time.Minute)))}
	}
	for name, c := range map[string]struct {
		objects       [][]Sample
		from          replication.LSN
		after, before replication.LSN // 0: none
		back          bool
	}{
		"in order":                  {[][]Sample{{sample(100, -3), sample(200, -2)}, {}, {sample(2100, -1), sample(2200, 1)}, {sample(3100, 2)}}, 0, 2200, 2100, false},
		"all before it":             {[][]Sample{{sample(100, -3)}, {sample(1100, -1)}}, 0, 0, 1100, false},
		"all after it":              {[][]Sample{{sample(100, 3)}, {sample(1100, 4)}}, 0, 100, 0, false},
		"none":                      {[][]Sample{{}}, 0, 0, 0, false},
		"close by":                  {[][]Sample{{sample(100, -1)}, {sample(1100, 0.01)}, {sample(2100, -0.01)}}, 0, 1100, 100, false},
		"the time itself":           {[][]Sample{{sample(100, -1)}, {sample(1100, 0)}, {sample(2100, 1)}}, 0, 2100, 100, false},
		"put forward for a while":   {[][]Sample{{sample(100, -30)}, {sample(1100, 90), sample(1200, 91)}, {sample(2100, -28)}, {sample(3100, -1)}, {sample(4100, 1)}}, 0, 1100, 3100, true},
		"and the backup is of then": {[][]Sample{{sample(100, -30)}, {sample(1100, 90), sample(1200, 91)}, {sample(2100, -28)}, {sample(3100, -1)}, {sample(4100, 1)}}, 1150, 1200, 3100, true},
		"and of after that":         {[][]Sample{{sample(100, -30)}, {sample(1100, 90), sample(1200, 91)}, {sample(2100, -28)}, {sample(3100, -1)}, {sample(4100, 1)}}, 2000, 4100, 3100, false},
		"put back":                  {[][]Sample{{sample(100, -1)}, {sample(1100, 1), sample(1200, 30)}, {sample(2100, -20)}, {sample(3100, 2)}}, 0, 1100, 2100, true},
		"put back before it":        {[][]Sample{{sample(100, -20)}, {sample(1100, -30)}, {sample(2100, -1)}, {sample(3100, 2)}}, 0, 3100, 2100, false},
	} {
		r := claimed(t)
		for i, samples := range c.objects {
			putPart(t, r, 1, 3*mib, replication.LSN(i)*1000, replication.LSN(i+1)*1000, samples...)
		}
		got, err := list(t, r).Passing(t.Context(), r, 3*mib+c.from, start)
		at := func(l replication.LSN) replication.LSN {
			if l == 0 {
				return 0
			}
			return 3*mib + l
		}
		if err != nil || got.After.LSN != at(c.after) || got.Before.LSN != at(c.before) || got.Back() != c.back {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// On the way to another timeline there is none of what the first one has behind the fork.
	r := claimed(t)
	putPart(t, r, 1, 3*mib, 0, 2000, sample(100, -2), sample(900, -1), sample(1900, 1))
	putPart(t, r, 2, 3*mib, 0, 3000, sample(2900, -0.5))
	putHistory(t, r, 2, "1\t0/3003E8\tno reason\n") // at byte 1000
	if got, err := list(t, r).Passing(t.Context(), r, 3*mib, start); err != nil || got.Back() || got.Before != sample(2900, -0.5) {
		t.Errorf("across a fork: %+v, %v", got, err)
	}
}

func TestSamplesAreThinned(t *testing.T) {
	var samples []Sample
	begin := time.UnixMilli(1764000000000).UTC()
	for i := range 1000 {
		var ok bool
		if samples, ok = add(samples, Sample{0xFFFF0000_00000000 + replication.LSN(i*1000), begin.Add(time.Duration(i) * time.Second)}); !ok {
			t.Fatal("a sample is refused")
		}
	}
	if _, ok := add(samples, Sample{1 << 40, begin.Add(time.Hour)}); ok {
		t.Error("a position that is before the last")
	}
	if _, ok := add(samples, Sample{samples[999].LSN + 1, begin}); ok {
		t.Error("a time that is before the last")
	}
	meta := encodeSamples(samples)
	if err := store.CheckMeta(meta); err != nil {
		t.Fatal(err)
	}
	got, err := parseSamples(meta[samplesMeta])
	if err != nil || len(got) > mostSamples || len(got) < mostSamples/2 || got[len(got)-1] != samples[999] {
		t.Errorf("%d samples, %v", len(got), err)
	}
	same, _ := add(samples, Sample{samples[999].LSN, begin.Add(time.Hour)})
	if len(same) != 1000 || !same[999].Time.Equal(begin.Add(time.Hour)) {
		t.Error("the same position later is another sample")
	}
}

func FuzzNames(f *testing.F) {
	f.Add("00000001/000000010000000000000003.parts/00000000-00000010", "16/B374D848@19a", "1\t0/601000\tx\n")
	f.Add("00000001/000000010000000000000003", "", "")
	f.Add("0000000A.history", "1/1@1,1/2@2", "1\t0/1\n2 0/2 # x\n\n")
	f.Fuzz(func(t *testing.T, key, samples, history string) {
		if o, err := parseKey(key, mib); err == nil {
			again := segmentKey(o.timeline, o.start, mib)
			switch {
			case o.history:
				again = historyKey(o.timeline)
			case o.part.To != 0:
				again = partKey(o.timeline, o.start, mib, o.part)
			}
			if again != "wal/"+key {
				t.Errorf("%q reads as %q", key, again)
			}
		}
		if s, err := parseSamples(samples); err == nil && len(s) > 0 {
			again, err := parseSamples(encodeSamples(s)[samplesMeta])
			if err != nil || len(s) <= mostSamples && !slices.Equal(s, again) {
				t.Errorf("%q: %v", samples, err)
			}
		}
		legs, err := ParseHistory(9, []byte(history))
		if err == nil && (len(legs) < 2 || legs[len(legs)-1].Timeline != 9 || legs[len(legs)-1].End != 0) {
			t.Errorf("%q: %+v", history, legs)
		}
	})
}

func TestSampledBefore(t *testing.T) {
	r := claimed(t)
	t0 := time.UnixMilli(1790000000000).UTC()
	sample := func(l replication.LSN, s int) Sample { return Sample{l, t0.Add(time.Duration(s) * time.Second)} }
	putPart(t, r, 1, 3*mib, 0, 1000, sample(3*mib+500, 1), sample(3*mib+900, 2))
	putPart(t, r, 1, 3*mib, 1000, 2000)
	putPart(t, r, 2, 3*mib, 0, 5000, sample(3*mib+4000, 9))
	putHistory(t, r, 2, "1\t0/3007D0\tno reason\n")
	c := list(t, r)
	for _, test := range []struct {
		p    replication.Position
		want int // seconds; 0: none
	}{
		{at(1, 3*mib+400), 0},
		{at(1, 3*mib+600), 1},
		{at(1, 3*mib+2000), 2},
		{at(2, 3*mib+3000), 2},
		{at(2, 3*mib+4000), 9},
	} {
		got, err := c.SampledBefore(t.Context(), r, test.p)
		if err != nil {
			t.Fatal(err)
		}
		if want := t0.Add(time.Duration(test.want) * time.Second); test.want == 0 && !got.Time.IsZero() || test.want != 0 && !got.Time.Equal(want) {
			t.Errorf("before %v on %d it is %+v, want %d s", test.p.LSN, test.p.Timeline, got, test.want)
		}
	}
	if legs, err := c.Path(2); err != nil || legs[1].End != 0 {
		t.Errorf("the way has changed: %+v, %v", legs, err)
	}
}

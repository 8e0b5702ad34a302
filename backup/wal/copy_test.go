package wal

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"howdah/backup/replication"
	"howdah/backup/store"
)

func TestCopies(t *testing.T) {
	r := claimed(t)
	for range 2 { // the second time it is there
		for _, f := range []fileCopy{{7 * mib, 16500, 1}, {5 * mib, 16400, 16300}} {
			if err := putCopy(t.Context(), r, 1, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := putCopy(t.Context(), r, 2, fileCopy{6 * mib, 16600, 1}); err != nil {
		t.Fatal(err)
	}
	for key, text := range map[string]string{"copies/x": "{}", "copies/00000001-9": "{}", copyKey(at(3, mib)): "damaged"} {
		if err := r.Store.Put(t.Context(), r.Key(key), []byte(text), nil); err != nil {
			t.Fatal(err)
		}
	}
	all, err := Copies(t.Context(), r)
	if err != nil || len(all) != 4 || all[0].Database != 16400 || all[0].Source != 16300 || all[1].At != at(1, 7*mib) || all[2].At != at(2, 6*mib) ||
		all[3].At != at(3, mib) || all[3].Database != 0 || time.Since(all[0].Found) > time.Minute {
		t.Fatalf("there are %+v, %v", all, err)
	}
	if err := putCopy(t.Context(), r, 3, fileCopy{mib, 16700, 1}); err != nil {
		t.Fatal(err)
	}
	if all, err = Copies(t.Context(), r); err != nil || all[3].Database != 16700 {
		t.Errorf("in the place of a damaged one: %+v, %v", all, err)
	}
	newer := `{"format":2,"at":{"LSN":2097152,"Timeline":3}}`
	if err := r.Store.Put(t.Context(), r.Key(copyKey(at(3, 2*mib))), []byte(newer), store.WithSum([]byte(newer))); err != nil {
		t.Fatal(err)
	}
	if err := putCopy(t.Context(), r, 3, fileCopy{2 * mib, 16800, 1}); err != nil {
		t.Errorf("WAL is not stored where a newer Howdah has recorded a copy: %v", err)
	}
	if _, err := Copies(t.Context(), r); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("one of a newer format: %v", err)
	}
}

func TestCopiedSince(t *testing.T) {
	c := &Contents{Timelines: []*Timeline{
		{ID: 1}, {ID: 2, Legs: []Leg{{Timeline: 1, End: 6 * mib}, {Timeline: 2, Begin: 6 * mib}}},
	}}
	all := []Copy{{At: at(1, 5*mib)}, {At: at(1, 7*mib)}, {At: at(2, 8*mib)}}
	for _, one := range []struct {
		from     replication.LSN
		timeline uint32
		want     *Copy
	}{
		{4 * mib, 1, &all[0]},
		{5 * mib, 2, &all[0]}, // a base backup that begins there has it not
		{5*mib + 8, 1, &all[1]},
		{5*mib + 8, 2, &all[2]}, // the way leaves the timeline in front of the second
		{8*mib + 8, 1, nil},
		{8*mib + 8, 2, nil},
	} {
		if got, err := c.CopiedSince(all, one.from, one.timeline); got != one.want || err != nil {
			t.Errorf("from %s on timeline %d: %+v, %v", one.from, one.timeline, got, err)
		}
	}
	if _, err := c.CopiedSince(all, mib, 3); !errors.Is(err, ErrHole) {
		t.Errorf("on a timeline of which nothing is known: %v", err)
	}
}

// copyOfFiles is a record that a database was made of another's files.
func (w *writer) copyOfFiles(oid, source uint32) replication.LSN {
	r := make([]byte, recordHeader+2+copyRecordData)
	r[0], r[17] = byte(len(r)), rmDatabase
	r[recordHeader], r[recordHeader+1] = idDataShort, copyRecordData
	binary.LittleEndian.PutUint32(r[recordHeader+2:], oid)
	binary.LittleEndian.PutUint32(r[recordHeader+2+8:], source)
	return w.put(r)
}

// noCopies is a store that takes everything but records of copies.
type noCopies struct{ store.Store }

func (n noCopies) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	if strings.Contains(key, copiesKey) {
		return errors.New("the network is down")
	}
	return n.Store.PutIfAbsent(ctx, key, data, meta)
}

// TestCopyIsRecordedBeforeItsWAL has whoever is killed in between find both.
func TestCopyIsRecordedBeforeItsWAL(t *testing.T) {
	r := claimed(t)
	w := &writer{start: 3 * mib, size: mib}
	w.record(100, 16400)
	lsn := w.copyOfFiles(16500, 16400)
	w.copyOfFiles(16400, 16400) // to another tablespace
	healthy := r.Store
	r.Store = noCopies{r.Store}
	s := scanned(w.b, 3*mib, 0, mib, 0)
	now := time.Now()
	c := &chunk{timeline: 1, segment: 3 * mib, size: mib, to: mib, buffer: w.b, copies: s.copies, since: now.Add(-time.Minute)}
	j := c.next(now, time.Second, false)
	j.run(t.Context(), r)
	c.took(j)
	if contents := list(t, r); j.err == nil || len(contents.Timelines) != 0 {
		t.Errorf("it is stored without the record: %v, %+v", j.err, contents.Timelines)
	}
	r.Store = healthy
	j = c.next(now.Add(time.Minute), time.Second, false)
	j.run(t.Context(), r)
	c.took(j)
	all, err := Copies(t.Context(), r)
	if j.err != nil || err != nil || len(all) != 1 || all[0].At != at(1, lsn) || all[0].Database != 16500 || all[0].Source != 16400 || c.end() != w.at() {
		t.Errorf("recorded are %+v, %v; stored up to %s, %v", all, err, c.end(), j.err)
	}
	c.buffer, c.since = append(c.buffer, 0), now
	if j = c.next(now.Add(time.Minute), time.Second, false); len(j.copies) != 0 {
		t.Errorf("it is recorded again: %+v", j.copies)
	}
}

func TestPushRecordsCopies(t *testing.T) {
	r := testRepository(t)
	w := &writer{start: 3 * mib, size: mib}
	w.record(3*pageSize, 16400)
	lsn := w.copyOfFiles(16500, 16400)
	for len(w.b) < mib {
		w.fillPage()
	}
	binary.LittleEndian.PutUint64(w.b[24:], 7)
	binary.LittleEndian.PutUint32(w.b[32:], mib)
	if err := push(t, &Archive{Repo: r}, replication.SegmentName(1, 3*mib, mib), w.b); err != nil {
		t.Fatal(err)
	}
	if all, err := Copies(t.Context(), r); err != nil || len(all) != 1 || all[0].At != at(1, lsn) {
		t.Errorf("recorded are %+v, %v", all, err)
	}
}

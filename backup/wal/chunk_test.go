package wal

import (
	"testing"
	"time"
)

// TestNothingNewIsNothingToStore has all come that was stored before this session, and no
// more: there is no part of no bytes.
func TestNothingNewIsNothingToStore(t *testing.T) {
	now := time.Now()
	c := &chunk{timeline: 1, segment: mib, size: mib, to: mib, buffer: make([]byte, 1000, mib), old: []Span{{0, 600}, {600, 1000}}, since: now.Add(-time.Minute)}
	j := c.next(now, time.Second, false)
	if j == nil || len(j.compare) != 2 || j.put.To != 0 {
		t.Fatalf("first it does %+v", j)
	}
	c.took(j)
	for _, hurry := range []bool{false, true} {
		if j := c.next(now.Add(time.Minute), time.Second, hurry); j != nil {
			t.Errorf("in a hurry %t it stores %+v", hurry, j.put)
		}
	}
	c.buffer = append(c.buffer, 1)
	c.since = now
	if j := c.next(now.Add(time.Minute), time.Second, false); j == nil || j.put != (Span{1000, 1001}) {
		t.Errorf("when something has come it does %+v", j)
	}
}

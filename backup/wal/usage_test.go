package wal

import (
	"testing"
	"time"
)

func TestUsage(t *testing.T) {
	at := time.Date(2026, 1, 31, 10, 30, 0, 0, time.UTC)
	u := &usage{}
	add := func(after time.Duration, oid uint32, n int64) {
		var counted tally
		counted.add(oid, n)
		u.add(&counted, at.Add(after))
	}
	want := func(after time.Duration, oid uint32, w Written) {
		t.Helper()
		if got := u.of(oid, at.Add(after)); got != w {
			t.Errorf("after %v database %d has written %+v, not %+v", after, oid, got, w)
		}
	}
	add(0, 1, 100)
	add(0, 1+4096, 7) // which has the same place in the tally
	add(10*time.Minute, 1, 10)
	add(time.Hour, 1, 1000)
	add(-time.Hour, 1, 1) // the clock was set back
	add(0, 0, 5)
	want(time.Hour, 1, Written{1111, 1111})
	want(time.Hour, 4097, Written{7, 7})
	want(23*time.Hour, 1, Written{1111, 1111})
	want(24*time.Hour, 1, Written{1111, 1001})
	want(25*time.Hour, 1, Written{1111, 0})
	want(25*time.Hour, 2, Written{})
	u.name(map[uint32]string{1: "one"})
	add(100*time.Hour, 3, 1)
	want(100*time.Hour, 1, Written{1111, 0})
	want(100*time.Hour, 0, Written{5, 0})
	if len(u.databases) != 3 {
		t.Errorf("databases that are gone are remembered: %v", u.databases)
	}
}

func TestTally(t *testing.T) {
	var counted tally
	for range 3 {
		for oid := range uint32(5000) {
			counted.add(oid*5, 2)
		}
	}
	for range 2 {
		sum, of := int64(0), map[uint32]int64{}
		counted.take(func(oid uint32, n int64) { sum, of[oid] = sum+n, n })
		if sum != 30000 || len(of) != 5000 || of[4999*5] != 6 {
			t.Errorf("%d bytes of %d databases", sum, len(of))
		}
		for oid := range uint32(5000) { // and anew
			counted.add(oid*5, 6)
		}
	}
}

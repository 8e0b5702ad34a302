package router

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestFailuresFillAndEmpty(t *testing.T) {
	var f failures[string]
	now := time.Unix(1_000_000, 0)
	for i := range 6 {
		if f.full("a", 6, now) {
			t.Fatalf("full after %d of 6", i)
		}
		f.add("a", 6, now)
	}
	if !f.full("a", 6, now) || f.full("b", 6, now) {
		t.Fatal("six of six are not full, or are for another key")
	}
	f.add("a", 6, now) // what was on its way makes it no fuller than full
	for _, step := range []struct {
		after time.Duration
		full  bool
	}{{9 * time.Second, true}, {11 * time.Second, false}, {time.Hour, false}} {
		if got := f.full("a", 6, now.Add(step.after)); got != step.full {
			t.Errorf("after %v: full %v", step.after, got)
		}
	}
	now = now.Add(time.Hour)
	f.add("a", 6, now)
	if f.full("a", 6, now) || !f.full("a", 1, now) {
		t.Error("what was an hour ago still counts, or what was now does not")
	}
	if f.full("a", 0, now) {
		t.Error("a limit of 0 is one")
	}
}

func TestFailuresAreBounded(t *testing.T) {
	var f failures[int]
	now := time.Unix(1_000_000, 0)
	for i := range 3 * maxTallies {
		now = now.Add(time.Millisecond)
		f.add(i, 60, now)
	}
	if n := len(f.tallies); n > maxTallies {
		t.Errorf("%d buckets", n)
	}
	var g guard
	for i := range 2 * maxTallies {
		g.greet(visit{database: fmt.Sprint(i)}, now)
	}
	if n := len(g.good); n > maxTallies {
		t.Errorf("%d visits", n)
	}
	last := visit{database: fmt.Sprint(2*maxTallies - 1)}
	if !g.knows(last, now) || g.knows(last, now.Add(goodPeriod)) || g.knows(visit{database: "never"}, now) {
		t.Error("a visit is not known, for ever, or one that was not is")
	}
}

// Whom many strangers push out is the one who has failed least.
func TestFailuresKeepTheFullest(t *testing.T) {
	var f failures[int]
	now := time.Unix(1_000_000, 0)
	for range 60 {
		f.add(-1, 60, now)
	}
	for i := range 2 * maxTallies {
		f.add(i, 60, now)
	}
	if !f.full(-1, 60, now) {
		t.Error("who has failed sixty times was forgotten for others")
	}
}

func TestNeighbourhood(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := neighbourhood(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	if neighbourhood(netip.Addr{}).IsValid() {
		t.Error("a Unix socket has a neighbourhood")
	}
}

package keep_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/keep"
	"howdah/backup/repository"
)

func (g *rig) wait() {
	g.now = g.now.Add(2 * time.Second)
	g.memory.now = g.now
}

// grow lets hours pass, in which the cluster stores WAL, with a base backup every ten.
func (g *rig) grow(ids []string, hours int) []string {
	g.Helper()
	_, end := g.has(1)
	g.now = g.now.Add(time.Duration(hours) * time.Hour)
	g.memory.now = g.now
	g.wal(1, end, end+hours)
	for i := end + 5; i < end+hours; i += 10 {
		ids = append(ids, g.base(1, i, end+hours-i))
	}
	return ids
}

// What a tenant was promised is kept when it has left, until the time when it was there is
// out of the window.
func TestWhatWasPromisedIsKept(t *testing.T) {
	g, ids := days(t)
	gold, small := keep.Policy{Count: 1, Window: 50 * time.Hour}, keep.Policy{Count: 1, Window: 5 * time.Hour}
	// At hour 100: the newest of hour 95 ended there, from 45 on all is kept.
	g.expireAsPromised(gold, ids[:4]...)
	g.wait()
	left := g.now
	for hours := 100; ; hours += 10 {
		g.now, g.memory.now = g.now.Add(-time.Second), g.now // of two machines one is behind
		p := g.plan(small)
		g.now = g.memory.now
		if hours == 100 && (len(p.Promised) != 1 || !strings.Contains(p.Promised[0], "50h0m0s")) {
			t.Errorf("it says %q", p.Promised)
		}
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if g.plan(small).Policy.Window == small.Window {
			break
		}
		for i := hours - 54; i < 100; i++ {
			if !g.reaches(1, i, left.Add(time.Duration(i-100)*time.Hour)) {
				t.Errorf("at hour %d hour %d cannot be restored", hours, i)
			}
		}
		if ids = g.grow(ids, 10); hours > 300 {
			t.Fatal("it is kept for ever")
		}
	}
	// The newest one ended 50 hours after that or later.
	if passed := g.now.Sub(left); passed < 50*time.Hour || passed > 70*time.Hour {
		t.Errorf("it was let go after %s", passed)
	}
	g.expireAsPromised(small, slices.DeleteFunc(ids[4:len(ids)-2], func(id string) bool {
		_, err := base.Read(t.Context(), g.Repository, id)
		return err != nil
	})...)
	if first, _ := g.has(1); first < 100 {
		t.Errorf("WAL from hour %d on is left", first)
	}
	if n := g.noted(); n != 1 {
		t.Errorf("%d policies are remembered", n)
	}
}

func (g *rig) noted() (n int) {
	g.Helper()
	for _, err := range g.Store.List(g.Context(), g.Key("policies")+"/") {
		if err != nil {
			g.Fatal(err)
		}
		n++
	}
	return n
}

// A number of base backups is kept until all of them are of after the time when it was
// promised.
func TestSoManyAsWerePromisedAreKept(t *testing.T) {
	g, ids := days(t)
	many, few := keep.Policy{Count: 4}, keep.Policy{Count: 2}
	g.expireAsPromised(many, ids[:6]...)
	g.wait()
	g.expireAsPromised(few)
	for i := range 3 {
		ids = g.grow(ids, 10)
		g.expireAsPromised(few, ids[6+i])
	}
	ids = g.grow(ids, 10)
	g.expireAsPromised(few, ids[9:12]...)
	if n := g.noted(); n != 1 {
		t.Errorf("%d policies are remembered", n)
	}
}

// Who was promised more and has left between two runs is known by what was noted.
func TestNote(t *testing.T) {
	g, ids := days(t)
	small := keep.Policy{Count: 1, Window: 5 * time.Hour}
	for i := range 2 {
		if before, err := keep.Noted(t.Context(), g.Repository); err != nil || before != (keep.Policy{Count: i, Window: time.Duration(i) * 30 * time.Hour}) {
			t.Errorf("what was noted before is %+v, %v", before, err)
		}
		if err := keep.Note(t.Context(), g.Repository, keep.Policy{Window: 30 * time.Hour}, g.now); err != nil {
			t.Fatal(err)
		}
	}
	if n := g.noted(); n != 1 {
		t.Errorf("%d policies are remembered", n)
	}
	g.expireAsPromised(small, ids[:6]...)
	small.Forget = true
	g.expireAsPromised(small, ids[6:8]...)
	small.Forget = false
	g.expireAsPromised(small)
	if n := g.noted(); n != 1 {
		t.Errorf("%d policies are remembered", n)
	}
	if err := keep.Note(t.Context(), &repository.Repository{Store: g.Store, Sealer: g.Sealer, Cluster: "other"}, small, g.now); !errors.Is(err, repository.ErrEmpty) {
		t.Errorf("of a cluster of which nothing is stored: %v", err)
	}
}

// What cannot be read may have promised anything.
func TestPromiseThatCannotBeRead(t *testing.T) {
	g, ids := days(t)
	g.put("policies/20260131T120000Z.abcdef")
	g.idle(keep.Policy{Count: 1}, "policies/20260131T120000Z.abcdef")
	g.expire(keep.Policy{Count: 1}, ids[:9]...)
	if n := g.noted(); n != 1 {
		t.Errorf("%d policies are remembered", n)
	}
}

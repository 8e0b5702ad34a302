package keep_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/keep"
	"howdah/backup/lineage"
	"howdah/backup/replication"
	"howdah/backup/store"
)

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// days is a cluster that has stored WAL for 100 hours, with a base backup every 10.
func days(t *testing.T) (g *rig, ids []string) {
	g = newRig(t)
	g.wal(1, 0, 100)
	for i := 5; i < 100; i += 10 {
		ids = append(ids, g.base(1, i, 100-i))
	}
	return g, ids
}

func TestCountAndWindow(t *testing.T) {
	for _, c := range []struct {
		count, hours int
		first        int // base backup that stays
	}{
		{1, 0, 9},
		{0, 0, 9},
		{3, 0, 7},
		{100, 0, 0},
		// The newest ended 4:50 hours ago: from then on hours count. The newest one that
		// ended before them stays.
		{1, 1, 8},
		{1, 10, 8},
		{1, 11, 7},
		{1, 31, 5},
		{1, 1000, 0},
		{4, 1, 6},
		{2, 31, 5},
	} {
		g, ids := days(t)
		g.expire(keep.Policy{Count: c.count, Window: time.Duration(c.hours) * time.Hour}, ids[:c.first]...)
		g.wantWAL(1, 5+10*c.first, 100)
		for i := 5 + 10*c.first + 1; i < 100; i++ {
			if !g.reaches(1, i, g.ago(100-i)) {
				g.Errorf("%+v: hour %d cannot be restored", c, i)
			}
		}
		for _, key := range g.keys() {
			if strings.HasPrefix(key, "base/") && !slices.ContainsFunc(ids[c.first:], func(id string) bool { return strings.Contains(key, id) }) {
				g.Errorf("%+v: %q is left", c, key)
			}
		}
		g.expire(keep.Policy{Count: c.count, Window: time.Duration(c.hours) * time.Hour})
	}
}

// Whatever a crash interrupts, all that is to stay can be restored, and the next run ends it.
func TestExpireIsKilledAnywhere(t *testing.T) {
	policy := keep.Policy{Count: 2, Window: 20 * time.Hour}
	whole, _ := days(t)
	calls := &dying{Store: whole.Store, left: 1 << 30}
	whole.Repository.Store = calls
	p := whole.plan(policy)
	calls.left = 1 << 30
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 1<<30 - calls.left
	for after := range n {
		g, _ := days(t)
		p := g.plan(policy)
		healthy := g.Repository.Store
		g.Repository.Store = &dying{Store: healthy, left: after}
		if err := p.Run(t.Context()); err == nil {
			t.Errorf("after %d of %d calls: no error", after, n)
		}
		g.Repository.Store = healthy
		for i := 100 - 24; i < 100; i++ {
			if !g.reaches(1, i, g.ago(100-i)) {
				t.Errorf("after %d calls: hour %d cannot be restored", after, i)
			}
		}
		g.old("base/data", 30)
		g.old("base/index", 30)
		if err := g.plan(policy).Run(t.Context()); err != nil {
			t.Error(err)
		}
		g.wantWAL(1, 75, 100)
		for _, key := range g.keys() {
			if strings.HasPrefix(key, "base/data/") && g.missing(key) {
				t.Errorf("after %d calls: %q is left", after, key)
			}
		}
	}
}

// missing says whether an object belongs to no base backup.
func (g *rig) missing(key string) bool {
	_, err := base.Read(g.Context(), g.Repository, strings.Split(key, "/")[2])
	return err != nil
}

func TestNothingIsDeletedWhereTheClockIsWrong(t *testing.T) {
	g, ids := days(t)
	policy := keep.Policy{Count: 1, Window: time.Hour}
	now := g.now
	g.now = now.Add(-6 * time.Hour) // put back
	g.idle(policy, "the clock is wrong")
	g.now = now.AddDate(0, 0, 5) // ahead, and nothing was stored since
	g.idle(policy, "nothing was stored since")
	// Ahead, and WAL is stored with that clock: what would have been deleted when the newest
	// base backup was taken is, and nothing more.
	g.put("heartbeat")
	g.old("heartbeat", 0)
	g.expire(policy, ids[:8]...)
	g.now = now
	g.old("heartbeat", 0)
	g.expire(policy)
	g.base(1, 99, -1)
	g.idle(policy, "the clock is wrong here, or was wrong there")
}

func TestRunningBaseBackupHasEverythingStay(t *testing.T) {
	g, ids := days(t)
	running := "20260101T000000Z.abcdef"
	g.put("base/running/" + running)
	g.idle(keep.Policy{Count: 1}, running+" is being taken")
	g.old("base/running", 25)
	g.put("base/data/" + running + "/000003")
	g.idle(keep.Policy{Count: 1}, running+" is being taken")
	g.old("base/data/"+running, 25)
	p := g.plan(keep.Policy{Count: 1})
	if !slices.Equal(p.Left, []string{running}) {
		t.Errorf("left: %q", p.Left)
	}
	g.expire(keep.Policy{Count: 1}, ids[:9]...)
	if slices.ContainsFunc(g.keys(), func(key string) bool {
		return strings.HasPrefix(key, "base/data/"+running) || strings.HasPrefix(key, "base/running")
	}) {
		t.Errorf("what a crash has left is still there: %q", g.keys())
	}
}

func TestLastGoodOneStays(t *testing.T) {
	g, ids := days(t)
	// The WAL of the newest two is not complete.
	for _, i := range []int{85, 95} {
		if err := g.Store.Delete(t.Context(), g.Key(segmentKey(1, i))); err != nil {
			t.Fatal(err)
		}
	}
	g.expire(keep.Policy{Count: 1}, append(slices.Clone(ids[:7]), ids[8])...)
	// Of the newest that is left an object is gone, and of the one before another is cut off.
	g, ids = days(t)
	if err := g.Store.Delete(t.Context(), g.Key("base/data", ids[9], "000000")); err != nil {
		t.Fatal(err)
	}
	if err := g.Store.Put(t.Context(), g.Key("base/index", ids[8], "files"), nil, nil); err != nil {
		t.Fatal(err)
	}
	g.expire(keep.Policy{Count: 1}, append(slices.Clone(ids[:7]), ids[8])...)
	if p := g.plan(keep.Policy{Count: 1}); len(p.Alone) != 1 || !strings.Contains(p.Alone[0], "missing or cut off") {
		t.Errorf("told: %q", p.Alone)
	}
	// All WAL is gone.
	for i := range 100 {
		if err := g.Store.Delete(t.Context(), g.Key(segmentKey(1, i))); err != nil {
			t.Fatal(err)
		}
	}
	g.idle(keep.Policy{Count: 1}, "no base backup that can be restored")
	// No base backup at all.
	g = newRig(t)
	g.wal(1, 0, 10)
	g.idle(keep.Policy{Count: 1}, "no base backup that can be restored")
}

// After a failover the way leads on; what is on the old timeline goes when its time comes.
func TestFailover(t *testing.T) {
	g := newRig(t)
	g.wal(1, 0, 50)
	g.history(2, left(1, 50))
	g.wal(2, 50, 100)
	a, b, c := g.base(1, 10, 90), g.base(1, 40, 60), g.base(2, 60, 40)
	d := g.base(2, 90, 10)
	g.expire(keep.Policy{Count: 3}, a)
	g.wantWAL(1, 40, 50)
	g.wantWAL(2, 50, 100)
	g.old("wal/00000001", 50)
	g.expire(keep.Policy{Count: 2}, b)
	g.wantWAL(1, -1, 0)
	g.wantWAL(2, 60, 100)
	g.expire(keep.Policy{Count: 1}, c)
	g.wantWAL(2, 90, 100)
	if !g.reaches(2, 99, g.ago(1)) || !slices.Contains(g.keys(), "wal/00000002.history") {
		t.Errorf("the newest cannot be restored from %s", d)
	}
}

// A cluster that was put back goes on at an earlier position, on a timeline to which the
// newest base backup does not lead.
func TestTimelineThatBeganEarlier(t *testing.T) {
	g := newRig(t)
	g.wal(1, 0, 80)
	g.history(2, left(1, 30))
	g.wal(2, 30, 50)
	a, b, c := g.base(1, 10, 90), g.base(1, 20, 80), g.base(1, 75, 25)
	g.old("wal/00000001", 24)
	g.expire(keep.Policy{Count: 1}, a)
	if !g.reaches(2, 49, g.ago(1)) {
		t.Errorf("the newest timeline cannot be restored: %s was needed", b)
	}
	g.wantWAL(1, 20, 80)
	g.wantWAL(2, 30, 50)
	d := g.base(2, 45, 5)
	g.expire(keep.Policy{Count: 1, Window: 10 * time.Hour}, c)
	g.expire(keep.Policy{Count: 1}, b)
	g.wantWAL(2, 45, 50)
	if !g.reaches(2, 49, g.ago(1)) {
		t.Errorf("%s does not lead to the end", d)
	}
}

// Positions begin anew where a cluster does: what is newer by the time is newer.
func TestTwoSystems(t *testing.T) {
	g, _ := days(t)
	if err := g.Store.Delete(t.Context(), g.Key("identity")); err != nil {
		t.Fatal(err)
	}
	g.claim("8")
	g.idle(keep.Policy{Count: 1}, "one prefix is for one cluster")
	g.base(1, 2, 1, func(m *base.Manifest) { m.System = "8" })
	g.idle(keep.Policy{Count: 1}, "one prefix is for one cluster")
}

func TestTimelineWithoutHistory(t *testing.T) {
	// Nobody knows what leads to the newest one.
	g, ids := days(t)
	g.wal(3, 10, 20)
	g.old("wal/00000003", 100)
	g.idle(keep.Policy{Count: 1}, "history file of timeline 3")
	// One that is not the newest, and had its last WAL long ago, stays as it is.
	g.history(4, left(1, 100))
	g.wal(4, 100, 110)
	g.expire(keep.Policy{Count: 1}, ids[:9]...)
	g.wantWAL(3, 10, 20)
}

// A history file that is damaged makes no base backup of its timeline a bad one.
func TestDamagedHistory(t *testing.T) {
	g := newRig(t)
	g.wal(1, 0, 30)
	g.history(2, left(1, 30))
	g.wal(2, 30, 100)
	old := g.base(1, 10, 90)
	if err := base.PutHold(t.Context(), g.Repository, base.Hold{ID: old, Since: g.now}); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := 35; i < 100; i += 10 {
		ids = append(ids, g.base(2, i, 100-i))
	}
	g.put("wal/00000002.history")
	g.idle(keep.Policy{Count: 3}, "history file of timeline 2")
	// Not even where the cluster is elsewhere by now.
	g.history(3, left(1, 30))
	g.wal(3, 30, 110)
	last := g.base(3, 105, 1)
	g.old("wal/00000002", 50)
	g.idle(keep.Policy{Count: 1}, "of timeline 2, whose history file")
	g.history(2, left(1, 30))
	g.expire(keep.Policy{Count: 1}, ids...)
	if !g.reaches(3, 109, g.now) {
		t.Errorf("%s is gone", last)
	}
}

// Just after a switch nothing is stored of the new timeline but its history. The newest base
// backup lies past the switch.
func TestTimelineWithItsHistoryOnly(t *testing.T) {
	g := newRig(t)
	g.wal(1, 0, 80)
	a, b, c := g.base(1, 10, 90), g.base(1, 20, 80), g.base(1, 75, 25)
	g.history(2, left(1, 70))
	g.expire(keep.Policy{Count: 1}, a)
	g.wantWAL(1, 20, 80)
	g.wal(2, 70, 72)
	if !g.reaches(2, 71, g.now) {
		t.Errorf("%s is left of %s and %s, and does not lead to timeline 2", c, b, c)
	}
}

// An incremental one is nothing without those since which it has what has changed.
func TestChainsStayWhole(t *testing.T) {
	g := newRig(t)
	g.wal(1, 0, 100)
	since := func(id string) func(*base.Manifest) { return func(m *base.Manifest) { m.Since = id } }
	a := g.base(1, 10, 90)
	b := g.base(1, 20, 80, since(a))
	c := g.base(1, 30, 70, since(b))
	d := g.base(1, 40, 60, since(b))
	e := g.base(1, 50, 50)
	f := g.base(1, 60, 40, since(e))
	g.expire(keep.Policy{Count: 3}, c)
	g.wantWAL(1, 10, 100)
	g.expire(keep.Policy{Count: 2}, a, b, d)
	g.wantWAL(1, 50, 100)
	g.expire(keep.Policy{Count: 1})
	if _, err := base.Read(t.Context(), g.Repository, f); err != nil {
		t.Error(err)
	}
}

// What nobody of us has written is left alone, and told.
func TestUnknownObjectsAreLeftAlone(t *testing.T) {
	g, ids := days(t)
	odd := []string{
		"wal/00000001/../x", "wal/notes.txt", "wal/00000001/000000010000000000000001.bak", "wal/0000000a/00000001000000000000000A",
		"base/manifests/acme; drop", "base/data/’/000000", "base/manifests/20260101T000000Z.aaaaaa", "wal/00000001/000000010000000000000001.parts/00000005-00000002",
	}
	odd = odd[1:] // the first is no key
	for _, key := range odd {
		g.put(key)
	}
	g.old("base/data/’", 100)
	p := g.plan(keep.Policy{Count: 1})
	if len(p.Alone) != len(odd) {
		t.Errorf("told of %d: %q", len(p.Alone), p.Alone)
	}
	if err := p.Run(t.Context()); err != nil || len(p.Expire) != len(ids)-1 {
		t.Errorf("%v, %d", err, len(p.Expire))
	}
	for _, key := range odd {
		if !slices.Contains(g.keys(), key) {
			t.Errorf("%q is gone", key)
		}
	}
}

// refusing is a store in which some objects are locked.
type refusing struct {
	store.Store
	locked string
}

func (r *refusing) Delete(ctx context.Context, key string) error {
	if strings.Contains(key, r.locked) {
		return fmt.Errorf("delete object %q: object is locked: %w", key, fs.ErrPermission)
	}
	return r.Store.Delete(ctx, key)
}

// What the store does not let go stays with what it needs, and does not keep the rest.
func TestLockedObjects(t *testing.T) {
	g, ids := days(t)
	healthy := g.Repository.Store
	g.Repository.Store = &refusing{healthy, "base/manifests/" + ids[4]}
	if err := g.plan(keep.Policy{Count: 1}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "object is locked") || !strings.Contains(err.Error(), ids[4]) {
		t.Error(err)
	}
	g.wantWAL(1, 45, 100)
	if !g.reaches(1, 99, g.ago(52)) {
		t.Error("the one that is locked cannot be restored")
	}
	if all, err := base.List(t.Context(), g.Repository); err != nil || len(all) != 2 {
		t.Errorf("%d are left, %v", len(all), err)
	}
	g.Repository.Store = &refusing{healthy, segmentKey(1, 50)}
	err := g.plan(keep.Policy{Count: 1}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "object is locked") {
		t.Error(err)
	}
	g.Repository.Store = healthy
	g.expire(keep.Policy{Count: 1})
	g.wantWAL(1, 95, 100)
}

func TestRecordsGoWithTheWALBehindThem(t *testing.T) {
	g := newRig(t)
	g.wal(1, 0, 30)
	g.wal(1, 40, 100)
	g.base(1, 10, 90)
	g.base(1, 50, 50)
	g.base(1, 90, 10)
	gap := `{"format":1,"from":{"LSN":31457280,"Timeline":1},"to":{"LSN":41943040,"Timeline":1},"found":"2026-01-01T00:00:00Z","why":"test"}`
	key := "gaps/00000001-0000000002800000-00000001-0000000001E00000"
	if err := g.Store.Put(t.Context(), g.Key(key), []byte(gap), map[string]string{"sha-256": sumOf(gap)}); err != nil {
		t.Fatal(err)
	}
	before, behind := "copies/00000001-0000000001E00000", "copies/00000001-0000000003200028"
	for _, key := range []string{before, behind} {
		g.put(key)
	}
	g.expire(keep.Policy{Count: 3})
	if keys := g.keys(); !slices.Contains(keys, key) || !slices.Contains(keys, before) {
		t.Error("a record is gone while WAL in front of the gap is kept")
	}
	p := g.plan(keep.Policy{Count: 2, Forget: true})
	if err := p.Run(t.Context()); err != nil || slices.Contains(g.keys(), key) || len(p.Gaps) != 1 {
		t.Errorf("the record is left: %v", err)
	}
	if keys := g.keys(); slices.Contains(keys, before) || !slices.Contains(keys, behind) {
		t.Errorf("of records of copied databases are left: %v", keys)
	}
	g.wantWAL(1, 50, 100)
}

// A record of which database a tenant had stays while a base backup is there that leads to a
// moment at which it was so.
func TestLineageOfWhatIsRestorable(t *testing.T) {
	g, ids := days(t)
	const tenant, job = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001"
	for i, hoursAgo := range []int{300, 200, 100, 50, 1} {
		r := lineage.Record{Tenant: tenant, Name: "acme", OID: uint32(i + 1), System: "7", LSN: replication.LSN(i + 1), Time: g.ago(hoursAgo), What: "swap", Operation: job}
		if err := lineage.Put(t.Context(), g.Repository, r); err != nil {
			t.Fatal(err)
		}
	}
	left := func(want ...uint32) {
		t.Helper()
		all, err := lineage.List(t.Context(), g.Repository, tenant)
		var oids []uint32
		for i := range all {
			oids = append(oids, all[i].OID)
		}
		if err != nil || !slices.Equal(oids, want) {
			t.Errorf("of the records are left %v, want %v: %v", oids, want, err)
		}
	}
	if err := base.PutHold(t.Context(), g.Repository, base.Hold{ID: ids[0], Since: g.now}); err != nil {
		t.Fatal(err)
	}
	g.expire(keep.Policy{Count: 1}, ids[1:9]...) // the first one is of 95 hours ago, and clocks may differ by 24
	left(2, 3, 4, 5)
	g.expire(keep.Policy{Count: 1})
	left(2, 3, 4, 5)
	if err := base.Release(t.Context(), g.Repository, ids[0]); err != nil {
		t.Fatal(err)
	}
	g.expire(keep.Policy{Count: 1}, ids[0])
	left(2, 3, 4, 5) // it was there when the plan was made
	g.expire(keep.Policy{Count: 1})
	left(4, 5)
	g.expire(keep.Policy{Count: 1, Window: 70 * time.Hour}) // a window that is not filled yet counts
	left(4, 5)
}

// What is held stays, with the WAL from its start to its stop or further, and no more.
func TestHolds(t *testing.T) {
	hold := func(g *rig, h base.Hold) {
		t.Helper()
		h.Since = g.now
		if err := base.PutHold(t.Context(), g.Repository, h); err != nil {
			t.Fatal(err)
		}
	}
	g, ids := days(t)
	hold(g, base.Hold{ID: ids[2], Reason: "case 4711"})
	until := base.Position{LSN: 58 * segment, Timeline: 1}
	hold(g, base.Hold{ID: ids[5], Until: &until})
	if err := base.Delete(t.Context(), g.Repository, ids[2]); !errors.Is(err, base.ErrHeld) {
		t.Errorf("deleting what is held: %v", err)
	}
	p := g.plan(keep.Policy{Count: 1})
	for _, k := range p.Keep {
		if k.ID == ids[2] && !slices.Contains(k.Why, `it is held: "case 4711"`) {
			t.Errorf("why %q", k.Why)
		}
	}
	g.expire(keep.Policy{Count: 1}, slices.Concat(ids[:2], ids[3:5], ids[6:9])...)
	for i := range 100 {
		if want := i == 25 || i >= 55 && i <= 58 || i >= 95; slices.Contains(g.keys(), segmentKey(1, i)) != want {
			t.Errorf("segment %d: not %v", i, want)
		}
	}
	if err := base.Release(t.Context(), g.Repository, ids[2]); err != nil {
		t.Fatal(err)
	}
	g.expire(keep.Policy{Count: 1}, ids[2])

	g, ids = days(t)
	hold(g, base.Hold{ID: ids[1], Latest: true})
	g.expire(keep.Policy{Count: 1}, append(slices.Clone(ids[2:9]), ids[0])...)
	g.wantWAL(1, 15, 100)

	// One that cannot be read holds all.
	g.expire(keep.Policy{Count: 1})
	g.put("base/holds/" + ids[1])
	g.expire(keep.Policy{Count: 1})
	g.wantWAL(1, 15, 100)
	if p := g.plan(keep.Policy{Count: 1}); len(p.Alone) != 1 || !strings.Contains(p.Alone[0], "damaged") {
		t.Errorf("told: %q", p.Alone)
	}
	if err := g.Store.Delete(t.Context(), g.Key("base/manifests", ids[1])); err != nil {
		t.Fatal(err)
	}
	g.idle(keep.Policy{Count: 1}, "is held, and what it needs is not known")

	// An incremental one with those that it needs, and their WAL.
	g = newRig(t)
	g.wal(1, 0, 100)
	since := func(id string) func(*base.Manifest) { return func(m *base.Manifest) { m.Since = id } }
	a := g.base(1, 10, 90)
	b := g.base(1, 20, 80, since(a))
	c := g.base(1, 30, 70)
	g.base(1, 50, 50)
	hold(g, base.Hold{ID: b})
	g.expire(keep.Policy{Count: 1}, c)
	for i := range 100 {
		if want := i >= 10 && i <= 20 || i >= 50; slices.Contains(g.keys(), segmentKey(1, i)) != want {
			t.Errorf("segment %d: not %v", i, want)
		}
	}
	if err := base.PutHold(t.Context(), g.Repository, base.Hold{ID: c}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("holding what is gone: %v", err)
	}
}

// A hold counts that was put while a plan was looked at.
func TestHoldAfterThePlan(t *testing.T) {
	g, ids := days(t)
	p := g.plan(keep.Policy{Count: 1})
	if err := base.PutHold(t.Context(), g.Repository, base.Hold{ID: ids[4], Since: g.now}); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); !errors.Is(err, base.ErrHeld) {
		t.Errorf("%v", err)
	}
	if !g.reaches(1, 45, g.ago(54)) {
		t.Error("it cannot be restored")
	}
	g.expire(keep.Policy{Count: 1})
}

// meddling is a store in which something happens just before an object is deleted.
type meddling struct {
	store.Store
	key  string
	then func()
}

func (m *meddling) Delete(ctx context.Context, key string) error {
	if then := m.then; then != nil && strings.HasSuffix(key, m.key) {
		m.then = nil
		then()
	}
	return m.Store.Delete(ctx, key)
}

// A hold that is told as put holds, whenever that was.
func TestHoldWhileExpireRuns(t *testing.T) {
	g, ids := days(t)
	hold := func(h base.Hold) func() {
		return func() {
			h.Since = g.now
			if err := base.PutHold(t.Context(), g.Repository, h); err != nil {
				t.Error(err)
			}
		}
	}
	p := g.plan(keep.Policy{Count: 1})
	healthy := g.Repository.Store
	g.Repository.Store = &meddling{healthy, "base/manifests/" + ids[4], hold(base.Hold{ID: ids[4]})}
	if err := p.Run(t.Context()); !errors.Is(err, base.ErrHeld) {
		t.Errorf("%v", err)
	}
	g.Repository.Store = healthy
	if !g.reaches(1, 45, g.ago(54)) || len(g.plan(keep.Policy{Count: 1}).Alone) > 0 {
		t.Error("what came to be held while it was deleted cannot be restored")
	}

	g, ids = days(t)
	hold(base.Hold{ID: ids[1]})()
	p = g.plan(keep.Policy{Count: 1})
	until := base.Position{LSN: 28 * segment, Timeline: 1}
	g.Repository.Store = &meddling{g.Repository.Store, "base/manifests/" + ids[4], hold(base.Hold{ID: ids[1], Until: &until})}
	if err := p.Run(t.Context()); err != nil {
		t.Error(err)
	}
	for i := range 100 {
		if want := i >= 15 && i <= 28 || i >= 95; slices.Contains(g.keys(), segmentKey(1, i)) != want {
			t.Errorf("segment %d: not %v", i, want)
		}
	}
}

// Where it is not known what is held no WAL is deleted.
func TestHoldOfWhatCannotBeRead(t *testing.T) {
	g, ids := days(t)
	p := g.plan(keep.Policy{Count: 1})
	g.put("base/holds/20260101T000000Z.aaaaaa")
	if err := p.Run(t.Context()); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "what is held is needed") {
		t.Errorf("with %d base backups: %v", len(ids), err)
	}
	g.wantWAL(1, 0, 100)
}

// unreachable is a store that does not give an object.
type unreachable struct {
	store.Store
	key string
}

var errUnreachable = errors.New("no answer")

func (u *unreachable) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, store.Info, error) {
	if strings.HasSuffix(key, u.key) {
		return nil, store.Info{}, errUnreachable
	}
	return u.Store.Get(ctx, key, offset, length)
}

// A manifest that is damaged does not hide that another could not be asked for: it may be of
// what has changed since that which is to be deleted.
func TestDeleteKnowsAllManifests(t *testing.T) {
	g := newRig(t)
	g.wal(1, 0, 100)
	a := g.base(1, 10, 90)
	b := g.base(1, 20, 80, func(m *base.Manifest) { m.Since = a })
	g.put("base/manifests/20260101T000000Z.aaaaaa")
	healthy := g.Repository.Store
	g.Repository.Store = &unreachable{healthy, b}
	if err := base.Delete(t.Context(), g.Repository, a); !errors.Is(err, errUnreachable) {
		t.Errorf("it was deleted: %v", err)
	}
	g.Repository.Store = healthy
	if err := base.Delete(t.Context(), g.Repository, b); err != nil {
		t.Error(err)
	}
	if err := base.Delete(t.Context(), g.Repository, a); err != nil {
		t.Error(err)
	}
}

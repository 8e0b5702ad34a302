package keep_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/keep"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
	"howdah/backup/wal"
)

const segment = 1 << 20

// rig is a repository in which a segment of WAL is an hour: it says nothing that anybody
// could restore, but lies as if it did.
type rig struct {
	*testing.T
	*repository.Repository
	memory *memory
	now    time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	m := &memory{objects: map[string]*object{}, now: time.Now()}
	g := &rig{T: t, Repository: &repository.Repository{Store: m, Sealer: storetest.NewSealer(t), Cluster: "main"}, memory: m, now: m.now}
	g.claim("7")
	return g
}

func (g *rig) claim(system string) {
	g.Helper()
	if _, err := g.Claim(g.Context(), replication.Server{System: system, Major: 15, Segment: segment, Timeline: 1}); err != nil {
		g.Fatal(err)
	}
}

// ago is the time at which a segment began; 0 is now.
func (g *rig) ago(hours int) time.Time { return g.now.Add(-time.Duration(hours) * time.Hour) }

func (g *rig) put(key string) {
	g.Helper()
	if err := g.Store.Put(g.Context(), g.Key(key), []byte("x"), nil); err != nil {
		g.Fatal(err)
	}
}

// wal stores whole segments of a timeline, from one up to another.
func (g *rig) wal(timeline uint32, from, to int) {
	g.Helper()
	for i := from; i < to; i++ {
		g.put(segmentKey(timeline, i))
	}
}

func segmentKey(timeline uint32, i int) string {
	return fmt.Sprintf("wal/%08X/%s", timeline, replication.SegmentName(timeline, replication.LSN(i)*segment, segment))
}

// history says that timeline left its parent where a segment begins.
func (g *rig) history(timeline uint32, lines ...string) {
	g.Helper()
	text := strings.Join(lines, "\n") + "\n"
	err := g.Store.Put(g.Context(), g.Key("wal", replication.HistoryName(timeline)), []byte(text), map[string]string{"sha-256": sumOf(text)})
	if err != nil {
		g.Fatal(err)
	}
}

func left(timeline uint32, i int) string {
	return fmt.Sprintf("%d\t%s\treason", timeline, replication.LSN(i)*segment)
}

// base takes a base backup in a segment, and returns its id.
func (g *rig) base(timeline uint32, i, hoursAgo int, change ...func(*base.Manifest)) string {
	g.Helper()
	at := g.ago(hoursAgo)
	m := &base.Manifest{
		Format: 1, ID: at.UTC().Format("20060102T150405Z") + fmt.Sprintf(".%02d%04d", timeline, i), Cluster: "main", System: "7", Major: 15, Segment: segment,
		Start:   base.Position{LSN: replication.LSN(i)*segment + 40, Timeline: timeline},
		Stop:    base.Position{LSN: replication.LSN(i)*segment + 400, Timeline: timeline},
		Started: at, Finished: at.Add(10 * time.Minute), Objects: []base.Object{{Sums: base.Sums{Stored: 1}}},
		Index: base.Sums{Stored: 1}, BackupManifest: base.Sums{Stored: 1},
	}
	for _, c := range change {
		c(m)
	}
	g.put("base/data/" + m.ID + "/000000")
	g.put("base/index/" + m.ID + "/files")
	g.put("base/index/" + m.ID + "/backup_manifest")
	if err := base.Commit(g.Context(), g.Repository, m); err != nil {
		g.Fatal(err)
	}
	return m.ID
}

func (g *rig) plan(policy keep.Policy) *keep.Plan {
	g.Helper()
	p, err := keep.Make(g.Context(), g.Repository, policy, g.now)
	if err != nil {
		g.Fatal(err)
	}
	return p
}

// expire makes and runs a plan that is to expire those base backups and no others, whatever
// was promised by those before it.
func (g *rig) expire(policy keep.Policy, want ...string) {
	g.Helper()
	policy.Forget = true
	g.expireAsPromised(policy, want...)
}

// expireAsPromised is expire without that.
func (g *rig) expireAsPromised(policy keep.Policy, want ...string) {
	g.Helper()
	p := g.plan(policy)
	var got []string
	for _, m := range p.Expire {
		got = append(got, m.ID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || p.Idle != "" {
		g.Errorf("%+v expires %q, want %q; idle: %s", policy, got, want, p.Idle)
	}
	if err := p.Run(g.Context()); err != nil {
		g.Error(err)
	}
}

// idle makes a plan that is to delete nothing, for a reason, and sees to it that it does not.
func (g *rig) idle(policy keep.Policy, reason string) {
	g.Helper()
	before := g.keys()
	p := g.plan(policy)
	if !strings.Contains(p.Idle, reason) || len(p.Expire) > 0 || p.WAL.Objects > 0 {
		g.Errorf("idle: %q, want %q; expires %d and %+v", p.Idle, reason, len(p.Expire), p.WAL)
	}
	if err := p.Run(g.Context()); err != nil {
		g.Error(err)
	}
	if after := g.keys(); !slices.Equal(before, after) {
		g.Errorf("%d objects are %d", len(before), len(after))
	}
}

// keys are those of all but what is noted of policies.
func (g *rig) keys() (keys []string) {
	g.Helper()
	for info, err := range g.Store.List(g.Context(), "") {
		if err != nil {
			g.Fatal(err)
		}
		if key := strings.TrimPrefix(info.Key, g.Key("")); !strings.HasPrefix(key, "policies/") {
			keys = append(keys, key)
		}
	}
	return keys
}

// has says which of the segments of a timeline are there, the first and one past the last.
func (g *rig) has(timeline uint32) (first, end int) {
	g.Helper()
	first = -1
	keys := g.keys()
	for i := range 200 {
		if slices.Contains(keys, segmentKey(timeline, i)) {
			if first < 0 {
				first, end = i, i
			}
			if i != end {
				g.Errorf("timeline %d has a hole at segment %d", timeline, end)
			}
			end = i + 1
		}
	}
	return first, end
}

func (g *rig) wantWAL(timeline uint32, first, end int) {
	g.Helper()
	if f, e := g.has(timeline); f != first || e != end {
		g.Errorf("timeline %d has segments %d to %d, want %d to %d", timeline, f, e, first, end)
	}
}

// reaches says whether an hour can be restored, by what is there.
func (g *rig) reaches(timeline uint32, i int, at time.Time) bool {
	g.Helper()
	all, err := base.List(g.Context(), g.Repository)
	if err != nil {
		g.Fatal(err)
	}
	contents, err := wal.List(g.Context(), g.Repository)
	if err != nil {
		g.Fatal(err)
	}
	for _, m := range all {
		if m.Finished.After(at) {
			continue
		}
		if _, err := contents.Reaches(replication.Position(m.Start), replication.LSN(i)*segment+segment/2, timeline); err == nil {
			if _, err := base.Chain(g.Context(), g.Repository, &m); err == nil {
				return true
			}
		}
	}
	return false
}

// old has objects be stored hours ago.
func (g *rig) old(prefix string, hours int) {
	g.Helper()
	g.memory.aged(g.Key(prefix), g.ago(hours))
}

var errDead = errors.New("the process was killed")

// dying is a store that does so many things and nothing after that.
type dying struct {
	store.Store
	mu   sync.Mutex
	left int
}

func (d *dying) alive() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left--; d.left < 0 {
		return errDead
	}
	return nil
}

func (d *dying) Delete(ctx context.Context, key string) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.Store.Delete(ctx, key)
}

func (d *dying) Put(ctx context.Context, key string, data []byte, meta map[string]string) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.Store.Put(ctx, key, data, meta)
}

func (d *dying) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.Store.PutIfAbsent(ctx, key, data, meta)
}

func (d *dying) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for info, err := range d.Store.List(ctx, prefix) {
			if err == nil {
				err = d.alive()
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

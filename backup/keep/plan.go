package keep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"howdah/backup/base"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/wal"
)

// Policy says what is to stay. Both hold: what one of them keeps stays.
type Policy struct {
	Count  int           // base backups, at least; less than 1 is 1
	Window time.Duration // every moment of so long before now stays restorable; 0 promises none
	// Forget has no more be kept because more was promised before.
	Forget bool
}

// Wider is the policy that keeps what either keeps.
func (p Policy) Wider(q Policy) Policy {
	return Policy{Count: max(p.Count, q.Count), Window: max(p.Window, q.Window), Forget: p.Forget && q.Forget}
}

// Plan says what is kept of a repository, why, and what would be deleted.
type Plan struct {
	Cluster string
	Policy  Policy // what is kept: more than is set where more was promised before
	// Promised says what is kept for no other reason than that it was promised.
	Promised []string
	// From is the oldest moment that has to stay restorable, as far as it ever was.
	From time.Time
	// Idle, if not "", says why nothing is deleted at all.
	Idle    string
	Keep    []Kept          // the newest first
	Expire  []base.Manifest // the newest first: those before which there are incremental ones come last
	Left    []string        // unfinished base backups that crashes have left
	WAL     Amount          // that is deleted
	WALKept Amount
	Gaps    []wal.Gap // whose records are deleted: they lie before all that is kept
	Lineage int       // how many records of tenants' databases are deleted, likewise
	// Alone are objects that nobody of us has written, or that cannot be read, each with
	// what is odd about it. They are never deleted.
	Alone []string

	set      Policy // what is to be kept from now on
	promises []promise
	over     []promise // that need not be remembered any more

	repo     *repository.Repository
	contents *wal.Contents
	copies   []wal.Copy      // whose records are deleted, likewise
	lineage  []string        // keys of those that are
	all      []base.Manifest // the newest first
	holds    map[string]*base.Hold
	missing  map[string]string // objects that base backups lack, by their ids
	needs    []need
	active   map[uint32]bool // timelines of which something was stored since From
	now      time.Time
}

// Kept is a base backup that stays.
type Kept struct {
	*base.Manifest
	Why []string
}

// Amount is how much there is of something.
type Amount struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

func (a *Amount) add(bytes int64) {
	a.Objects++
	a.Bytes += max(bytes, 0)
}

// Make says what Run would delete. It changes nothing.
func Make(ctx context.Context, r *repository.Repository, policy Policy, now time.Time) (*Plan, error) {
	policy.Count, policy.Window = max(policy.Count, 1), max(policy.Window, 0)
	p := &Plan{Cluster: r.Cluster, Policy: policy, set: policy, repo: r, now: now}
	running, err := p.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("plan what is kept of cluster %q: %w", r.Cluster, err)
	}
	p.judge(running)
	if err := p.weigh(ctx); err != nil {
		return nil, fmt.Errorf("plan what is kept of cluster %q: %w", r.Cluster, err)
	}
	return p, nil
}

// look reads what there is, and says which base backups are being taken.
func (p *Plan) look(ctx context.Context) (running []string, err error) {
	// First, for what is begun later needs nothing that is old.
	unfinished, odd, err := base.ListUnfinished(ctx, p.repo)
	if err != nil {
		return nil, err
	}
	for i := range unfinished {
		if u := &unfinished[i]; u.Running(p.now) {
			running = append(running, u.ID)
		} else {
			p.Left = append(p.Left, u.ID)
		}
	}
	for _, id := range odd {
		p.alone("objects of %.100q: that is no base backup's id", id)
	}
	if p.contents, err = wal.List(ctx, p.repo); err != nil {
		return nil, err
	}
	for _, text := range p.contents.Odd {
		p.alone("%s", text)
	}
	for _, key := range p.contents.Damaged {
		p.alone("%q is damaged", key)
	}
	if err := p.manifests(ctx); err != nil {
		return nil, err
	}
	if err := p.readHolds(ctx); err != nil {
		return nil, err
	}
	if err := p.readPromises(ctx); err != nil {
		return nil, err
	}
	return running, p.clocks(ctx)
}

// readHolds reads which base backups are held.
func (p *Plan) readHolds(ctx context.Context) (err error) {
	p.holds, err = base.Holds(ctx, p.repo)
	if p.holds == nil {
		return err
	}
	for _, err := range several(err) {
		p.alone("%v", err)
	}
	for _, id := range slices.Sorted(maps.Keys(p.holds)) {
		if p.byID(id) == nil { // it may be one that cannot be read: what it needs is held too
			p.idle("base backup %.60s is held, and what it needs is not known: its manifest cannot be read, or is missing; `howdah backup hold --release` ends the hold", id)
		}
	}
	return nil
}

// several returns the errors of which one consists.
func several(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func (p *Plan) alone(format string, args ...any) {
	p.Alone = append(p.Alone, fmt.Sprintf(format, args...))
}

func (p *Plan) idle(format string, args ...any) {
	if p.Idle == "" {
		p.Idle = fmt.Sprintf(format, args...)
	}
}

// manifests reads those of all base backups.
func (p *Plan) manifests(ctx context.Context) (err error) {
	p.all, err = base.List(ctx, p.repo)
	for _, err := range several(err) {
		switch {
		case errors.Is(err, base.ErrNewer): // what it needs nobody here knows
			p.idle("%v", err)
			fallthrough
		case errors.Is(err, store.ErrDamaged), errors.Is(err, base.ErrID), errors.Is(err, repository.ErrForeign):
			p.alone("%v", err)
		default:
			return err
		}
	}
	if p.missing, err = base.Missing(ctx, p.repo, p.all); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(p.missing)) {
		p.alone("base backup %s cannot be restored: %q is missing or cut off", id, p.missing[id])
	}
	return nil
}

// day is how long a clock may be ahead of what is stored.
const day = 24 * time.Hour

// skew is by how much clocks of several machines may differ.
const skew = 10 * time.Minute

// clocks looks whether the time can be right, by when things were stored.
func (p *Plan) clocks(ctx context.Context) error {
	var newest time.Time
	see := func(t time.Time) {
		if t.After(newest) {
			newest = t
		}
	}
	for _, t := range p.contents.Timelines {
		for i := range t.Segments {
			see(t.Segments[i].Stored)
		}
	}
	keys := []string{p.repo.Key("heartbeat")}
	for i := range p.all {
		if m := &p.all[i]; m.Started.After(p.now.Add(skew)) {
			p.idle("base backup %s began at %s, and it is %s now: the clock is wrong here, or was wrong there", m.ID, stamp(m.Started), stamp(p.now))
		}
	}
	if len(p.all) > 0 {
		keys = append(keys, p.repo.Key("base", "manifests", p.all[0].ID))
	}
	for _, key := range keys {
		info, err := p.repo.Store.Stat(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrDamaged) {
			return err
		}
		see(info.Time)
	}
	switch {
	case newest.After(p.now.Add(skew)):
		p.idle("the newest object was stored at %s, and it is %s now: the clock is wrong here, or the store's is", stamp(newest), stamp(p.now))
	case p.now.Sub(newest) > day:
		p.idle("nothing was stored since %s, and it is %s now: the clock is wrong here, or backups have stopped", stamp(newest), stamp(p.now))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// weigh finds out how much WAL goes and how much stays, and which records of gaps and copies.
func (p *Plan) weigh(ctx context.Context) error {
	for o, err := range wal.Objects(ctx, p.repo, p.contents.Identity.Segment) {
		switch {
		case err != nil:
			return err
		case o.Odd != nil || o.History:
		case p.needed(&o):
			p.WALKept.add(o.Size)
		default:
			p.WAL.add(o.Size)
		}
	}
	p.Gaps = slices.DeleteFunc(slices.Clone(p.contents.Gaps), p.gapNeeded)
	copies, err := wal.Copies(ctx, p.repo)
	p.copies = slices.DeleteFunc(copies, p.copyNeeded)
	if err != nil {
		return err
	}
	return p.oldLineage(ctx)
}

package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/wal"
	"howdah/wire/postgres"
)

// Plan says how a target is reached.
type Plan struct {
	Identity *repository.Identity
	Base     *base.Manifest
	Chain    []*base.Manifest // what it is made up of: that which has all first, Base last
	Target   Target
	Timeline uint32               // on which the target is
	Until    replication.Position // up to here WAL is stored, without a hole since the base backup, and read at most
	// Past is a position that is not before the target, where that is a time or a position:
	// all WAL in front of it is stored. 0 is that nobody knows.
	Past replication.LSN
	// Before is what was sampled clearly before the target, where that is a time, and last: what
	// is in front of it was committed before the target. The zero is that nobody knows.
	Before wal.Sample

	contents *wal.Contents
	earlier  []base.Manifest // base backups before Base that can be begun with too, the newest first
}

// ErrUnreachable is of a target that what is stored does not lead to.
var ErrUnreachable = errors.New("restore: the target cannot be reached")

// ErrBeyond is of a time that has passed, and of which what is stored says nothing yet. It
// is ErrUnreachable too.
var ErrBeyond = errors.New("it is not known that all WAL of before it is stored")

// Make looks how a target can be reached on a timeline; 0 is the newest. id names a base
// backup to begin with; "" is the newest that ended before the target. Nothing is changed
// by it, and nothing read but lists and what is small.
func Make(ctx context.Context, r *repository.Repository, target Target, timeline uint32, id string) (*Plan, error) {
	p := &Plan{Target: target, Timeline: timeline}
	var err error
	if p.Identity, err = r.Identity(ctx); err != nil {
		return nil, err
	}
	if p.contents, err = wal.List(ctx, r); err != nil {
		return nil, err
	}
	if p.Timeline == 0 {
		p.Timeline = p.contents.Newest().Timeline
	}
	p.contents.Timeline = p.Timeline // nothing that is not on the way to it counts
	legs, err := p.contents.Path(p.Timeline)
	if err != nil {
		return nil, fmt.Errorf("%w: timeline %d: %w", ErrUnreachable, p.Timeline, err)
	}
	p.Past = target.LSN
	if !target.Time.IsZero() {
		reachable := false
		if p.Past, reachable, err = p.contents.TargetOf(ctx, r, target.Time); err != nil {
			return nil, err
		}
		if !reachable {
			return nil, p.beyond()
		}
	}
	if p.Base, err = p.choose(ctx, r, id, legs); err != nil {
		return nil, err
	}
	if p.Chain, err = base.Chain(ctx, r, p.Base); err != nil {
		return nil, err
	}
	if err := p.reach(); err != nil {
		return nil, err
	}
	if err := p.pass(ctx, r); err != nil {
		return nil, err
	}
	return p, nil
}

// pass refuses a time that the primary's clock has passed twice since the base backup began:
// a recovery ends at the first commit of after it, and that may be long before what else was
// committed then.
func (p *Plan) pass(ctx context.Context, r *repository.Repository) error {
	if p.Target.Time.IsZero() {
		return nil
	}
	passing, err := p.contents.Passing(ctx, r, p.Base.Start.LSN, p.Target.Time)
	if err != nil {
		return err
	}
	if a, b := passing.After, passing.Before; passing.Back() {
		return fmt.Errorf("%w: the primary's clock was set back: at %s it was %s, and at %s, which is later, it was %s, so %s was twice: restore to one of the positions instead, as lsn:%s, or to one between them",
			ErrUnreachable, a.LSN, stamp(a.Time), b.LSN, stamp(b.Time), p.Target, b.LSN)
	}
	p.Before = passing.Before
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// reach finds out up to where WAL is stored from the base backup on.
func (p *Plan) reach() error {
	from := replication.Position(p.Base.Start)
	needed, err := p.contents.Reaches(from, max(p.Past, p.Base.Stop.LSN), p.Timeline)
	if err == nil { // what is stored goes on behind that, or there is a hole somewhere
		p.Until, err = p.contents.Reaches(from, 0, p.Timeline)
		switch {
		case !errors.Is(err, wal.ErrHole):
		case p.Past != 0:
			p.Until, err = needed, nil
		case p.Target.XID != 0 || p.Target.Name != "": // it may be in front of the hole
			p.Until, err = p.contents.Complete(from, p.Timeline)
		}
	}
	if err != nil {
		return fmt.Errorf("%w from base backup %s: %w", ErrUnreachable, p.Base.ID, err)
	}
	return nil
}

// begunTooLate reports whether a restore has failed since the base backup was taken after the
// target, and changes the plan to begin with the one before it. Where in the WAL a transaction
// or a restore point is shows only when the WAL is read; a time is one of the server's clock,
// which need not be that of who took the base backup.
func (p *Plan) begunTooLate(ctx context.Context, r *repository.Repository, err error) bool {
	late := errors.Is(err, errTooEarly) || errors.Is(err, errEndOfWAL) && (p.Target.XID != 0 || p.Target.Name != "")
	if !late || len(p.earlier) == 0 {
		return false
	}
	before := *p
	before.Base, before.earlier = &p.earlier[0], p.earlier[1:]
	if before.Chain, err = base.Chain(ctx, r, before.Base); err != nil || before.reach() != nil || before.pass(ctx, r) != nil {
		return false
	}
	if p.Target.XID != 0 || p.Target.Name != "" { // all that comes later has been looked through
		last := p.Base.Stop
		if before.Base.Stop.LSN > last.LSN { // before that it is no cluster
			last = before.Base.Stop
		}
		if last.LSN < before.Until.LSN {
			before.Until = replication.Position(last)
		}
	}
	*p = before
	return true
}

// beyond says how far what is stored goes, of a time that it does not reach.
func (p *Plan) beyond() error {
	if now := time.Now(); p.Target.Time.After(now) {
		return fmt.Errorf("%w: %s is in the future: it is %s now", ErrUnreachable, p.Target, now.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("%w: %s: %w; what is stored ends at %s: restore to latest, or to an earlier time", ErrUnreachable, p.Target, ErrBeyond, p.contents.Newest().LSN)
}

// choose returns the base backup to begin with.
func (p *Plan) choose(ctx context.Context, r *repository.Repository, id string, legs []wal.Leg) (*base.Manifest, error) {
	if id != "" {
		m, err := base.Read(ctx, r, id)
		if err == nil && !p.after(m) {
			err = fmt.Errorf("%w: base backup %s ended at %s, after it", ErrUnreachable, id, m.Finished.Format(time.RFC3339))
		}
		if err == nil && !onTheWay(legs, m) {
			err = fmt.Errorf("%w: base backup %s, of timeline %d until %s, is not on the way to timeline %d", ErrUnreachable, id, m.Stop.Timeline, m.Stop.LSN, p.Timeline)
		}
		return m, err
	}
	all, err := base.List(ctx, r) // the newest first; of those that cannot be read err tells
	var good []base.Manifest
	for i := range all {
		if p.after(&all[i]) && onTheWay(legs, &all[i]) && (all[i].Since == "" || isWhole(ctx, r, &all[i])) {
			good = append(good, all[i])
		}
	}
	switch {
	case len(good) > 0:
		p.earlier = good[1:]
		return &good[0], nil
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nil, fmt.Errorf("%w: there is no base backup of cluster %q", ErrUnreachable, r.Cluster)
	}
	oldest := all[len(all)-1]
	if p.after(&oldest) {
		return nil, fmt.Errorf("%w: no base backup is on the way to timeline %d", ErrUnreachable, p.Timeline)
	}
	return nil, fmt.Errorf("%w: the oldest base backup, %s, ended at %s (%s), after %s", ErrUnreachable, oldest.ID, oldest.Finished.Format(time.RFC3339), oldest.Stop.LSN, p.Target)
}

// isWhole reports whether all is there that an incremental base backup is made up of.
func isWhole(ctx context.Context, r *repository.Repository, m *base.Manifest) bool {
	_, err := base.Chain(ctx, r, m)
	return err == nil
}

// onTheWay reports whether all of a base backup was taken before the way to a timeline
// leaves the one that it was taken on.
func onTheWay(legs []wal.Leg, m *base.Manifest) bool {
	return m.Start.Timeline == m.Stop.Timeline && slices.ContainsFunc(legs, func(l wal.Leg) bool {
		return l.Timeline == m.Stop.Timeline && (l.End == 0 || m.Stop.LSN <= l.End)
	})
}

// after reports whether the target is behind the end of a base backup: before that a
// server does not get to where its data are right.
func (p *Plan) after(m *base.Manifest) bool {
	switch {
	case !p.Target.Time.IsZero():
		return p.Target.Time.After(m.Finished) && p.Past >= m.Stop.LSN
	case p.Target.LSN != 0:
		return p.Target.LSN >= m.Stop.LSN
	}
	return true
}

// BaseBytes are those of the base backup, and of all that it is made up of.
func (p *Plan) BaseBytes() (bytes int64) {
	for _, m := range p.Chain {
		bytes += m.Size
	}
	return bytes
}

// unpack unpacks the base backup, which may be made up of several.
func (p *Plan) unpack(ctx context.Context, r *repository.Repository, b postgres.Binaries, dir string, o base.UnpackOptions) error {
	return base.UnpackChain(ctx, r, p.Base, b.Path("pg_combinebackup"), dir, o)
}

// WALBytes is how much WAL there is between the base backup's start and the target, at
// most: where a target is a transaction or a name nobody knows how far it is.
func (p *Plan) WALBytes() int64 { return int64(p.Until.LSN - p.Base.Start.LSN) }

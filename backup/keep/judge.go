package keep

import (
	"fmt"
	"slices"
	"strings"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/wal"
)

// judge says which base backups stay.
func (p *Plan) judge(running []string) {
	good := p.good()
	system := p.contents.Identity.System
	other := slices.IndexFunc(p.all, func(m base.Manifest) bool { return m.System != system })
	switch {
	case len(running) > 0:
		p.idle("base backup %s is being taken, and what it needs is known when it is there", strings.Join(running, ", "))
	case other >= 0: // positions of two systems cannot be told apart
		p.idle("base backup %s is of the system %s, and the repository is that of %s: one prefix is for one cluster", p.all[other].ID, p.all[other].System, system)
	case len(good) == 0:
		p.idle("there is no base backup that can be restored")
	}
	if p.Idle == "" {
		p.from(good)
		p.ways()
	}
	if p.Idle != "" {
		for i := range p.all {
			p.Keep = append(p.Keep, Kept{&p.all[i], []string{"nothing is deleted now"}})
		}
		p.Left = nil
		return
	}
	why := p.reasons(good)
	p.chains(why)
	for _, m := range p.kept(why) {
		p.needs = append(p.needs, need{from: replication.Position(m.Start)})
	}
	p.held(why)
	for i := range p.all {
		m := &p.all[i]
		if len(why[m.ID]) == 0 {
			p.Expire = append(p.Expire, *m)
			continue
		}
		p.Keep = append(p.Keep, Kept{m, why[m.ID]})
	}
}

// held keeps what is held, with no more WAL than is: what is kept for no other reason does
// not keep all that came after it.
func (p *Plan) held(why map[string][]string) {
	for i := range p.all {
		m := &p.all[i]
		h := p.holds[m.ID]
		if h == nil {
			continue
		}
		reason := "it is held"
		if h.Reason != "" {
			reason = fmt.Sprintf("it is held: %q", h.Reason)
		}
		why[m.ID] = append(why[m.ID], reason)
		for _, since := range p.since(m) {
			why[since.ID] = append(why[since.ID], fmt.Sprintf("base backup %s, which is held, has what has changed since", m.ID))
		}
		p.needs = append(p.needs, p.needOf(m, h))
	}
}

// needOf says which WAL a hold holds.
func (p *Plan) needOf(m *base.Manifest, h *base.Hold) need {
	n := need{from: replication.Position(m.Start), to: replication.Position(m.Stop)}
	if h.Until != nil && h.Until.LSN > m.Stop.LSN {
		n.to = replication.Position(*h.Until)
	}
	if h.Latest {
		n.to = replication.Position{}
	}
	for _, since := range p.since(m) {
		n.from = replication.Position(since.Start)
	}
	return n
}

// from says from which moment on all is to be restorable. It is counted from the newest
// base backup on: while there is none later, a clock that is ahead deletes nothing.
func (p *Plan) from(good []*base.Manifest) {
	now, newest := p.now, p.all[0].Finished
	for i := range p.all {
		if p.all[i].Finished.After(newest) {
			newest = p.all[i].Finished
		}
	}
	if newest.Before(now) {
		now = newest
	}
	p.widen(good, now)
	p.From = now.Add(-p.Policy.Window)
	current := p.contents.Newest().Timeline
	p.active = map[uint32]bool{}
	for _, t := range p.contents.Timelines {
		if t.ID >= current { // a later one has its history only: WAL comes
			p.active[t.ID] = true
		}
		for i := range t.Segments {
			if t.Segments[i].Stored.After(p.From) {
				p.active[t.ID] = true
			}
		}
	}
}

// ways has nothing be deleted while it is not known how the cluster came to a timeline that
// counts: its base backups would pass for bad ones, and those that lead to it for useless.
func (p *Plan) ways() {
	unknown := func(timeline uint32) bool {
		_, err := p.contents.Path(timeline)
		return err != nil
	}
	for _, t := range p.contents.Timelines {
		if p.active[t.ID] && unknown(t.ID) {
			p.idle("the history file of timeline %d is missing or damaged, and without it nobody knows what leads there: `howdah wal archive-push` stores it again, from pg_wal of a server that has it", t.ID)
		}
	}
	for i := range p.all {
		if m := &p.all[i]; unknown(m.Stop.Timeline) {
			p.idle("base backup %s is of timeline %d, whose history file is missing or damaged: `howdah wal archive-push` stores it again, from pg_wal of a server that has it", m.ID, m.Stop.Timeline)
		}
	}
}

// good returns the base backups that can be restored, as far as it shows from lists: the
// newest first.
func (p *Plan) good() (good []*base.Manifest) {
	for i := range p.all {
		if p.isGood(&p.all[i]) {
			good = append(good, &p.all[i])
		}
	}
	return good
}

// isGood reports whether a base backup's objects and its own WAL are there, and those since
// which it has what has changed.
func (p *Plan) isGood(m *base.Manifest) bool {
	if m.System != p.contents.Identity.System {
		return false
	}
	if _, err := p.contents.Reaches(replication.Position(m.Start), m.Stop.LSN, m.Stop.Timeline); err != nil {
		return false
	}
	root := m
	for _, root = range append([]*base.Manifest{m}, p.since(m)...) {
		if p.missing[root.ID] != "" {
			return false
		}
	}
	return root.Since == ""
}

// since returns the base backups since which one has what has changed, as far as they are
// there: the one before first.
func (p *Plan) since(m *base.Manifest) (chain []*base.Manifest) {
	for len(chain) < len(p.all) { // more would be a circle
		m = p.byID(m.Since)
		if m == nil {
			break
		}
		chain = append(chain, m)
	}
	return chain
}

func (p *Plan) byID(id string) *base.Manifest {
	i := slices.IndexFunc(p.all, func(m base.Manifest) bool { return m.ID == id })
	if i < 0 {
		return nil
	}
	return &p.all[i]
}

// reasons says of each base backup why it is kept.
func (p *Plan) reasons(good []*base.Manifest) map[string][]string {
	why := map[string][]string{}
	add := func(m *base.Manifest, format string, args ...any) {
		why[m.ID] = append(why[m.ID], fmt.Sprintf(format, args...))
	}
	for i := range p.all {
		if m := &p.all[i]; m.Finished.After(p.From) {
			add(m, "it ended after %s", stamp(p.From))
		}
	}
	add(&p.all[0], "it is the newest")
	for _, m := range good[:min(len(good), p.Policy.Count)] {
		if p.Policy.Count == 1 {
			add(m, "it is the newest that can be restored")
			break
		}
		add(m, "it is one of the %d newest that can be restored", p.Policy.Count)
	}
	newest := p.contents.Newest().Timeline
	for _, t := range p.contents.Timelines {
		if !p.active[t.ID] {
			continue
		}
		legs, err := p.contents.Path(t.ID)
		if err != nil { // ways has seen to it that there is none
			continue
		}
		if m := p.last(good, legs); m != nil {
			add(m, "with it begins a restore to %s on timeline %d", stamp(p.From), t.ID)
		}
		if m := furthest(good, legs); m != nil && t.ID >= newest {
			add(m, "it is the last one on the way to timeline %d", t.ID)
		}
	}
	return why
}

// last returns the newest base backup on a way that had ended when what is to be restorable
// begins.
func (p *Plan) last(good []*base.Manifest, legs []wal.Leg) *base.Manifest {
	for _, m := range good {
		if onTheWay(legs, m) && !m.Finished.After(p.From) {
			return m
		}
	}
	return nil
}

// furthest returns the base backup on a way that ended last by position: clocks may have
// been wrong.
func furthest(good []*base.Manifest, legs []wal.Leg) (last *base.Manifest) {
	for _, m := range good {
		if onTheWay(legs, m) && (last == nil || m.Stop.LSN > last.Stop.LSN) {
			last = m
		}
	}
	return last
}

// onTheWay reports whether all of a base backup was taken before the way leaves the timeline
// that it was taken on.
func onTheWay(legs []wal.Leg, m *base.Manifest) bool {
	return m.Start.Timeline == m.Stop.Timeline && slices.ContainsFunc(legs, func(l wal.Leg) bool {
		return l.Timeline == m.Stop.Timeline && (l.End == 0 || m.Stop.LSN <= l.End)
	})
}

// kept returns the base backups for which there is a reason.
func (p *Plan) kept(why map[string][]string) (all []*base.Manifest) {
	for i := range p.all {
		if len(why[p.all[i].ID]) > 0 {
			all = append(all, &p.all[i])
		}
	}
	return all
}

// chains keeps those since which one that is kept has what has changed.
func (p *Plan) chains(why map[string][]string) {
	for _, m := range p.kept(why) {
		for _, since := range p.since(m) {
			why[since.ID] = append(why[since.ID], fmt.Sprintf("base backup %s has what has changed since", m.ID))
		}
	}
}

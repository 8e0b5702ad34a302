package members

import (
	"context"
	"slices"
	"time"
)

// Who is a member may change while a cluster is watched: Patroni says so, or a
// host name leads to another server. A Member is one server for as long as it is
// one: what comes in its place is another Member, so that nothing that is known
// of the one counts for the other.

// all returns the members. The slice does not change.
func (w *Watch) all() []*Member {
	if list := w.list.Load(); list != nil {
		return *list
	}
	return nil
}

// join begins to follow a member. Once the watch runs, only goroutines that it
// waits for may call it. w.mu is held.
func (w *Watch) join(m *Member) {
	var ctx context.Context
	ctx, m.leave = context.WithCancel(w.ctx)
	w.done.Go(func() { w.follow(ctx, m) })
}

// part ends following a member. w.mu is held.
func (w *Watch) part(m *Member) {
	m.gone.Store(true)
	m.fresh.Store(0)
	m.leave()
}

// Gone reports whether it is a member no more, or another is in its place.
func (m *Member) Gone() bool { return m.gone.Load() }

// Moved reports whether it is another server than the one to which its name led
// before.
func (m *Member) Moved() bool { return m.moved.Load() }

// replace has another Member take the place of one whose name leads elsewhere
// now. If it was the primary, there is none until the other has been asked.
func (w *Watch) replace(m *Member, why string) {
	w.mu.Lock()
	if m.gone.Load() {
		w.mu.Unlock()
		return
	}
	next := &Member{Address: m.Address, barred: m.barred, ejected: "not reached yet", since: Clock(), timeline: m.timeline, system: m.system, before: m.Started()}
	list := slices.Clone(w.all())
	list[slices.Index(list, m)] = next
	w.part(m)
	w.list.Store(&list)
	if w.leader == m {
		w.leader = next
	}
	if w.named == m {
		w.named = next
	}
	if w.primary.Load() == m {
		w.primary.Store(nil)
	}
	was, now := w.settle()
	logPrimary := w.tellPrimary(was, now)
	w.join(next)
	w.mu.Unlock()
	w.cfg.Log.Info("member's name leads elsewhere", "address", m.Address, "why", why)
	logPrimary()
	w.changed(now)
}

// changed tells the watch's owner.
func (w *Watch) changed(now *Member) {
	if w.cfg.Changed != nil {
		w.cfg.Changed(now)
	}
}

// followPatroni asks Patroni again and again who the members are.
func (w *Watch) followPatroni(ctx context.Context, p *patroni) {
	defer p.close()
	for ctx.Err() == nil {
		found, err := p.ask(ctx, func(api string, err error) {
			if err != nil {
				w.cfg.Log.Warn("Patroni does not answer", "api", api, "error", err)
			} else {
				w.cfg.Log.Info("Patroni answers again", "api", api)
			}
		})
		if err == nil {
			w.take(found)
		}
		pause := patroniResting
		if m := w.primary.Load(); m == nil || m.lost.Load() {
			pause = patroniSoon
		}
		sleep(ctx, patroniSoonest)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-w.hurry:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// take takes in what Patroni has said.
func (w *Watch) take(found []named) {
	w.mu.Lock()
	old := w.all()
	var list, joined, left []*Member
	var leader *Member
	for _, n := range found {
		i := slices.IndexFunc(old, func(m *Member) bool { return m.Address == n.address })
		var m *Member
		if i >= 0 {
			m = old[i]
		} else {
			m = &Member{Address: n.address, ejected: "not reached yet", since: Clock()}
			joined = append(joined, m)
		}
		if m.barred = n.barred; m.barred != "" {
			m.fresh.Store(0)
			m.ejected = m.barred
		}
		if n.leads {
			leader = m
		}
		list = append(list, m)
	}
	for _, m := range old {
		if !slices.Contains(list, m) {
			left = append(left, m)
			w.part(m)
		}
	}
	w.list.Store(&list)
	turned := leader != w.named || !w.told
	w.named, w.told = leader, true
	was, now := w.settle()
	for _, m := range joined {
		w.join(m)
	}
	logPrimary := w.tellPrimary(was, now)
	w.mu.Unlock()
	for _, m := range joined {
		w.cfg.Log.Info("Patroni has a member", "address", m.Address)
	}
	for _, m := range left {
		w.cfg.Log.Info("Patroni has the member no more", "address", m.Address)
	}
	switch {
	case turned && leader == nil:
		w.cfg.Log.Warn("Patroni has no leader")
	case turned:
		w.cfg.Log.Info("Patroni has a leader", "address", leader.Address)
	}
	logPrimary()
	if now != was || len(left) > 0 {
		w.changed(now)
	}
}

// askPatroni has Patroni asked at once, if there is one.
func (w *Watch) askPatroni() {
	if w.cfg.Patroni != nil {
		select {
		case w.hurry <- struct{}{}:
		default:
		}
	}
}

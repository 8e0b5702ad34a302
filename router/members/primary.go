package members

// Role is what a member is.
type Role uint8

// The roles of members.
const (
	Unknown Role = iota // it cannot be reached, or has not been yet
	Primary
	Standby
)

// String returns the role as SHOW STANDBYS prints it.
func (r Role) String() string {
	return [...]string{"unknown", "primary", "standby"}[r]
}

// elect returns who the primary is, nil for nobody. Until another one is found it
// stays who it was, though it cannot be reached: it may come back. Of two that are
// not in recovery the one on the higher timeline was promoted last; on equal ones
// there is no telling, and writing to either could be lost. leader is the last one
// that was elected: while it cannot be reached, only who was promoted behind it
// takes its place; and if its name has come to lead to one that was not promoted
// as far, that was replaced before.
func elect(was, leader *Member, all []*Member) *Member {
	var best *Member
	tie := false
	for _, m := range all {
		if m.seen.role != Primary {
			continue
		}
		switch {
		case best == nil || m.seen.timeline > best.seen.timeline:
			best, tie = m, false
		case m.seen.timeline == best.seen.timeline:
			tie = true
		}
	}
	switch {
	case tie:
		return nil
	case best != nil:
		if leader != nil && leader != best && leader.seen.role == Unknown && best.seen.timeline <= leader.timeline {
			return nil
		}
		if leader == best && best.moved.Load() && best.seen.system == best.system && best.seen.timeline < best.timeline {
			return nil
		}
		return best
	case was != nil && was.seen.role == Unknown:
		return was
	}
	return nil
}

// electNamed returns who the primary is where Patroni says who leads, nil for
// nobody: the leader, once it is not in recovery. While it cannot be reached it
// stays who it was. blind is that no member can be asked at all: then Patroni's
// word is all there is.
func electNamed(was, leader *Member, blind bool) *Member {
	if leader == nil {
		return nil
	}
	switch leader.seen.role {
	case Primary:
		return leader
	case Unknown:
		if was == leader || blind {
			return leader
		}
	}
	return nil
}

// settle decides who the primary is now. w.mu is held.
func (w *Watch) settle() (was, now *Member) {
	was = w.primary.Load()
	if w.cfg.Patroni != nil {
		now = electNamed(was, w.named, w.blind.Load())
	} else {
		now = elect(was, w.leader, w.all())
	}
	if now != nil && now.seen.role == Primary {
		w.leader, now.timeline, now.system = now, now.seen.timeline, now.seen.system
	}
	if now != was {
		w.primary.Store(now)
		w.samples = samples{}
		for _, other := range w.all() {
			other.fresh.Store(0)
		}
	}
	return was, now
}

// tellPrimary returns what writes a line to the log where the primary has changed,
// outside of the lock.
func (w *Watch) tellPrimary(was, now *Member) func() {
	switch {
	case now == was:
		return func() {}
	case now == nil:
		return func() { w.cfg.Log.Warn("no primary: transactions are held") }
	}
	timeline := now.seen.timeline
	return func() { w.cfg.Log.Info("primary", "address", now.Address, "timeline", timeline) }
}

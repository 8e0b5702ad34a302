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
// takes its place.
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
		return best
	case was != nil && was.seen.role == Unknown:
		return was
	}
	return nil
}

package admin

import "time"

// showStandbys has a row for each member of the clusters that have several: what
// it is, how fresh, and why it serves no reads.
func showStandbys(s *session, row func(...any)) {
	for _, m := range s.console.Standbys() {
		fresh := int64(-1)
		if m.Behind >= 0 {
			fresh = int64(m.Behind / time.Millisecond)
		}
		row(m.Cluster, m.Address, m.Role.String(), int64(m.Timeline), int64(m.Since/time.Second), fresh, m.Lag, m.Running, int64(m.Started), m.Ejected, m.Culprit)
	}
}

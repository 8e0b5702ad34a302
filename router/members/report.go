package members

import "time"

// Row is what is known of one member now.
type Row struct {
	Address  string
	Role     Role
	Timeline uint32        // 0 for unknown
	Since    time.Duration // for how long it has had its role
	Behind   time.Duration // how old what a standby has is at most; -1 for unknown
	Lag      int64         // bytes that a standby has not replayed of what the primary had written when it was last asked; -1 for unknown
	Running  int64         // transactions sent to a standby that have not ended; of the primary those that a standby could have served
	Started  uint64        // all of them
	Ejected  string        // why a standby serves no reads, or becomes no fresher; "" if neither
	Culprit  string        // who holds up its replay, "" for nobody
}

// Rows returns the members, in the order in which they were named.
func (w *Watch) Rows() []Row {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, last := Clock(), w.samples.last()
	rows := make([]Row, 0, len(w.all()))
	for _, m := range w.all() {
		row := Row{
			Address: m.Address, Role: m.seen.role, Timeline: m.seen.timeline, Since: now - m.since,
			Behind: -1, Lag: -1, Running: m.outstanding.Load(), Started: m.begun.Load(), Culprit: m.culprit,
		}
		if m.seen.role != Primary {
			row.Ejected = w.why(m)
		} else {
			row.Running = w.load.running.Load()
		}
		if fresh := m.Fresh(); fresh > 0 {
			row.Behind = now - fresh
		}
		if m.seen.role == Standby && last.history == m.seen.history && last.at > 0 {
			row.Lag = max(0, int64(last.lsn)-int64(m.seen.lsn))
		}
		rows = append(rows, row)
	}
	return rows
}

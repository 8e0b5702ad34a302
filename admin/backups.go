package admin

import (
	"fmt"
	"time"

	"howdah/backup/overview"
	"howdah/backup/schedule"
	"howdah/backup/wal"
)

// ClusterBackups tells how the backups of a cluster stand.
type ClusterBackups struct {
	overview.Overview
	Wanted    bool       // its WAL is to be received
	Receiving *wal.Stats // on this node; nil: nobody tries to
	// Written tells what a database has written, as this node has received it; nil: nobody tries to.
	Written func(database string) (wal.Written, bool)
	Shared  int64 // bytes of WAL of no database, likewise
	// Scheduling is of base backups, on this node; nil: nobody takes any.
	Scheduling    *schedule.Stats
	DrillInterval time.Duration // between two drills; 0: nobody does any
	Interval      time.Duration // between two base backups; 0: none is taken for its age
	// RPOPromised is how much of the newest work its tenants are promised that a restore may lack
	// at most: of several promises the tightest. 0: nothing is.
	RPOPromised time.Duration
	// RTO is of the tenant whose restore takes the longest beside what is promised; nil: nobody
	// is promised anything, or it is not known how long one takes.
	RTO *RTO
}

// RTO is how long a restore of a tenant takes to the newest moment, an estimate, and may take.
type RTO struct {
	Tenant             string
	Expected, Promised time.Duration
}

// Over says how much longer it takes than it may; it is negative if it takes less.
func (r *RTO) Over() time.Duration { return r.Expected - r.Promised }

// The states of a cluster's receiver on a node.
const (
	walReceiving    = "receiving"
	walElsewhere    = "elsewhere"    // another node receives
	walDisconnected = "disconnected" // and will try again
	walOff          = "off"          // it is not to be
)

// WALState says whether the cluster's WAL is received on this node.
func (c *ClusterBackups) WALState() string {
	switch {
	case c.Receiving != nil && c.Receiving.Connected:
		return walReceiving
	case c.Receiving != nil && c.Receiving.Elsewhere:
		return walElsewhere
	case c.Receiving != nil || c.Wanted:
		return walDisconnected
	}
	return walOff
}

// DurableUntil is the newest time of which this node knows that all is stored that was
// committed before it, by the primary's clock; the zero is none.
func (c *ClusterBackups) DurableUntil() time.Time {
	if c.Receiving != nil && c.Receiving.Sampled.After(c.Until) {
		return c.Receiving.Sampled
	}
	return c.Until
}

// RPO is how much would be lost if the cluster were: the time since DurableUntil. It is not
// known where another node receives, or nothing was ever stored.
func (c *ClusterBackups) RPO(now time.Time) (lost time.Duration, known bool) {
	until, state := c.DurableUntil(), c.WALState()
	if until.IsZero() || state == walOff || state == walElsewhere {
		return 0, false
	}
	return max(now.Sub(until), 0), true
}

// Expected is how long a restore of a database takes to the newest moment, an estimate. It is
// not known where there is no base backup. "" is the largest database.
func (c *ClusterBackups) Expected(database string) (takes time.Duration, known bool) {
	upTo := c.LSN
	if c.Receiving != nil {
		upTo = max(upTo, c.Receiving.Durable)
	}
	return c.Overview.Expected(database, upTo)
}

// GapCount is how many gaps are recorded.
func (c *ClusterBackups) GapCount() int {
	if c.Receiving != nil {
		return max(c.Gaps, c.Receiving.Gaps)
	}
	return c.Gaps
}

// LastGap is when the last gap was found; the zero is that none is recorded.
func (c *ClusterBackups) LastGap() time.Time {
	if c.Receiving != nil && c.Receiving.LastGap.After(c.Overview.LastGap) {
		return c.Receiving.LastGap
	}
	return c.Overview.LastGap
}

// Taking says what the base backup is for that is being taken, and how far it is, or that it
// waits for its turn; "" is that none is.
func (c *ClusterBackups) Taking() string {
	if c.Scheduling == nil || c.Scheduling.Why == "" {
		return ""
	}
	const mb = 1e6
	p := c.Scheduling.Progress
	switch {
	case p.Total > 0:
		return fmt.Sprintf("%s; %d %% of %.0f MB", c.Scheduling.Why, min(p.Done*100/p.Total, 100), float64(p.Total)/mb)
	case p.Done > 0:
		return fmt.Sprintf("%s; %.0f MB", c.Scheduling.Why, float64(p.Done)/mb)
	}
	return c.Scheduling.Why
}

// Trouble is what went wrong with the backups last and has not come right since; "" is
// nothing.
func (c *ClusterBackups) Trouble() string {
	switch {
	case c.Receiving != nil && c.Receiving.LastError != "":
		return c.Receiving.LastError
	case c.Scheduling != nil && c.Scheduling.LastError != "":
		return "no base backup was taken: " + c.Scheduling.LastError
	}
	return c.Error
}

func (c *Console) backups() []ClusterBackups {
	if c.Backups == nil {
		return nil
	}
	return c.Backups()
}

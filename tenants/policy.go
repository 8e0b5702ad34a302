package tenants

import (
	"strconv"
	"time"
)

// What Placement can be, of a tier and of a cluster: a tenant goes to a cluster of its
// tier's class.
const (
	SharedPlacement    = "shared"    // beside anybody's
	SegmentedPlacement = "segmented" // beside those of its own tier
	DedicatedPlacement = "dedicated" // on a cluster of its own
)

// RoleSettings are what the tenant's role has set in the tenant's database. 0 is what the
// server has.
type RoleSettings struct {
	StatementTimeout                time.Duration
	IdleInTransactionSessionTimeout time.Duration
	WorkMem                         int64 // bytes
	TempFileLimit                   int64 // bytes, of one session
}

// Parameters returns those that are given, as ALTER ROLE … SET takes them.
func (r RoleSettings) Parameters() map[string]string {
	all := map[string]string{}
	for name, d := range map[string]time.Duration{
		"statement_timeout": r.StatementTimeout, "idle_in_transaction_session_timeout": r.IdleInTransactionSessionTimeout,
	} {
		if d > 0 {
			all[name] = strconv.FormatInt(d.Milliseconds(), 10) + "ms"
		}
	}
	for name, bytes := range map[string]int64{"work_mem": r.WorkMem, "temp_file_limit": r.TempFileLimit} {
		if bytes > 0 {
			all[name] = strconv.FormatInt(bytes>>10, 10) + "kB"
		}
	}
	return all
}

// BackupPolicy is what is promised of a tenant's backups. 0 is no promise.
type BackupPolicy struct {
	RPO       time.Duration // what may be lost
	RTO       time.Duration // how long a restore may take
	Retention time.Duration // how far back one can go
	Exports   string        // the store that exports go to; "" = the cluster's
}

// BasePolicy is what a tier wants of the base backups of clusters that its tenants are on.
// 0 is what [backup] has.
type BasePolicy struct {
	Interval time.Duration // between two
	Count    int           // that are kept, at least
	Window   time.Duration // in which every moment stays restorable
}

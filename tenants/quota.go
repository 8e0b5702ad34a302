package tenants

import "time"

// QuotaRules are who may write, and until when, though a tenant's database has used up
// its quota.
type QuotaRules struct {
	ExemptUsers []string  // a * at the end of a name stands for anything
	GraceUntil  time.Time // everybody may until then; the zero time is no grace
}

// QuotaState is how the size of a tenant's database stands to its quota.
type QuotaState uint8

// The states. What is near its quota is near until it is well below, and what is over
// is over until there is some room: otherwise a tenant at the edge would go to and fro.
const (
	QuotaUnknown QuotaState = iota // not measured yet
	QuotaWithin
	QuotaNear  // at 90 % or more
	QuotaOver  // at 100 % or more: transactions are READ ONLY
	QuotaGrace // the same, but everybody may write for a while
)

// String returns the state as it is told to operators.
func (s QuotaState) String() string {
	switch s {
	case QuotaWithin:
		return "within"
	case QuotaNear:
		return "near"
	case QuotaOver:
		return "over"
	case QuotaGrace:
		return "grace"
	}
	return "unknown"
}

// IsOver reports whether the quota is used up, whoever may write all the same.
func (s QuotaState) IsOver() bool { return s == QuotaOver || s == QuotaGrace }

// In percent of the quota: where a state begins, and below what it ends.
const (
	nearFrom, nearUntil = 90, 85
	overFrom, overUntil = 100, 95
)

// Usage is what a tenant with a quota uses of it.
type Usage struct {
	Size, Quota int64 // bytes; Size is 0 while the state is unknown
	State       QuotaState
	GraceUntil  time.Time // of QuotaGrace
}

// Room returns below which size a tenant that is over its quota may write again.
func (u *Usage) Room() int64 { return share(u.Quota, overUntil) }

// share returns so many percent of n, without running over.
func share(n, percent int64) int64 { return n/100*percent + n%100*percent/100 }

// Measured returns what the tenant uses now that its database has a size, given its
// state before.
func (t *Tenant) Measured(before QuotaState, size int64, now time.Time) Usage {
	quota := t.Limits.Quota
	u := Usage{Size: size, Quota: quota, State: QuotaWithin}
	switch {
	case size >= share(quota, overFrom), before.IsOver() && size >= share(quota, overUntil):
		u.State = QuotaOver
		if now.Before(t.QuotaRules.GraceUntil) {
			u.State, u.GraceUntil = QuotaGrace, t.QuotaRules.GraceUntil
		}
	case size >= share(quota, nearFrom), before > QuotaWithin && size >= share(quota, nearUntil):
		u.State = QuotaNear
	}
	return u
}

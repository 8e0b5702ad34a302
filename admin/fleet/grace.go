package fleet

import (
	"context"
	"time"

	"howdah/tenants/catalog"
)

// GraceFor is for how long a tenant may write over its quota if nobody says otherwise.
const GraceFor = time.Hour

// maxGrace bounds it.
const maxGrace = 31 * 24 * time.Hour

// graceUntil is the setting by which nodes know of it.
const graceUntil = "quota_grace_until"

// GraceTenant has all clients of a tenant write for a while though it is over its quota,
// or, for no time at all, ends that.
func (f *Fleet) GraceTenant(ctx context.Context, by catalog.Actor, name string, lasts time.Duration) (*catalog.Entry, error) {
	if lasts < 0 || lasts > maxGrace {
		return nil, invalid("for", "it may last up to %v", maxGrace)
	}
	patch := map[string]any{graceUntil: nil}
	if lasts > 0 {
		patch[graceUntil] = time.Now().Add(lasts).UTC().Format(time.RFC3339)
	}
	var changed *catalog.Entry
	err := f.checked(ctx, by, func(tx *catalog.Tx) error {
		e, err := f.tenant(tx, name)
		if err != nil {
			return err
		}
		if err := tx.Update(catalog.Tenant, name, e.Revision, patched(e.Settings, patch)); err != nil {
			return err
		}
		if err := tx.Audit("grace", catalog.Tenant, name, catalog.Settings{"seconds": int64(lasts.Seconds())}); err != nil {
			return err
		}
		changed, err = tx.Entry(catalog.Tenant, name)
		return err
	})
	return changed, err
}

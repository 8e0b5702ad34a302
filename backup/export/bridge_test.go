package export

import (
	"context"
	"time"
)

// PutInParts is Put with parts of another size.
func (p *Place) PutInParts(ctx context.Context, m Manifest, folder string, names []string, size int64) (*Manifest, error) {
	return p.put(ctx, m, folder, names, nil, size)
}

// SweepBefore is Sweep of what is older than a moment.
func (p *Place) SweepBefore(ctx context.Context, underway func(string) bool, before time.Time) error {
	return p.sweep(ctx, underway, before)
}

package keep

import (
	"context"
	"time"

	"howdah/backup/lineage"
)

// oldLineage finds the records of tenants' databases that no moment needs any more which any
// base backup that is there leads to. Clocks may differ by a day.
func (p *Plan) oldLineage(ctx context.Context) (err error) {
	if p.Idle == "" {
		p.lineage, err = lineage.Superseded(ctx, p.repo, p.oldest().Add(-day))
	}
	p.Lineage = len(p.lineage)
	return err
}

// oldest is before every moment that can be restored, though base backups are to go.
func (p *Plan) oldest() time.Time {
	oldest := p.From
	for i := range p.all {
		if m := &p.all[i]; m.Started.Before(oldest) {
			oldest = m.Started
		}
	}
	return oldest
}

// expireLineage deletes them, the oldest of a tenant first.
func (p *Plan) expireLineage(ctx context.Context, failed *failures) {
	for _, key := range p.lineage {
		if ctx.Err() != nil {
			return
		}
		failed.add(p.repo.Store.Delete(ctx, key))
	}
}

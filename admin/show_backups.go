package admin

import (
	"fmt"
	"strconv"
	"time"

	"howdah/backup/overview"
	"howdah/backup/wal"
)

// showWAL has a row for each cluster that has backups, or is to have them.
func showWAL(s *session, row func(...any)) {
	for _, c := range s.console.backups() {
		var rpo, received, durable, slot, retained, safe, standbys any
		timeline := c.Timeline
		if lost, known := c.RPO(time.Now()); known {
			rpo = lost.Milliseconds()
		}
		if c.LSN != 0 {
			durable = c.LSN.String()
		}
		if r := c.Receiving; r != nil {
			if r.Received != 0 {
				received, durable, timeline = r.Received.String(), r.Durable.String(), r.Timeline
			}
			if !r.Slot.Asked.IsZero() {
				slot, retained = r.Slot.Status, r.Slot.Retained
			}
			if slot != nil && r.Slot.Safe >= 0 {
				safe = r.Slot.Safe
			}
			standbys = standbySlots(r)
		}
		row(c.Cluster, c.WALState(), int64(timeline), received, durable, rpo, c.DurableUntil(), c.GapCount(), slot, retained, safe, standbys, orNull(c.Taking()), orNull(c.Trouble()))
	}
}

// standbySlots says on how many standbys the slot is kept, nil where there is none.
func standbySlots(r *wal.Stats) any {
	kept := 0
	for _, s := range r.Standbys {
		if s.Error == "" {
			kept++
		}
	}
	if len(r.Standbys) == 0 {
		return nil
	}
	return fmt.Sprintf("%d of %d", kept, len(r.Standbys))
}

// showBackups has a row for each base backup, the newest of a cluster first.
func showBackups(s *session, row func(...any)) {
	for _, c := range s.console.backups() {
		for i := range c.Bases {
			b := &c.Bases[i]
			row(c.Cluster, b.ID, baseKind(b), b.Started, int64(b.Took().Seconds()), b.Size, b.Stored, ratioText(b), len(b.DatabasesAtEnd),
				b.Start.LSN.String(), b.Stop.LSN.String(), int64(b.Stop.Timeline), yesNo(b.Hold != nil), b.Oldest, b.Newest)
		}
	}
}

// showDrills has a row for each drill, the newest of a cluster first.
func showDrills(s *session, row func(...any)) {
	for _, c := range s.console.backups() {
		for i := range c.Drills {
			d := &c.Drills[i]
			result, rto := "passed", any(nil)
			if !d.Passed() {
				result = "failed"
			}
			if d.RTO > 0 {
				rto = int64(d.RTO * 1000)
			}
			row(c.Cluster, d.ID, orNull(d.Database), d.Started, int64(d.Finished.Sub(d.Started).Seconds()), orNull(d.Target), orNull(d.Base), result,
				int64(d.RPO*1000), rto, d.Bytes, d.WAL, d.Databases, orNull(d.Error))
		}
	}
}

// showTenantBackups has a row for each tenant.
func showTenantBackups(s *session, row func(...any)) {
	if s.console.TenantBackups == nil {
		return
	}
	for _, b := range s.console.TenantBackups("") {
		var size, day, total any
		if b.Size > 0 {
			size = b.Size
		}
		if w := b.Written; w != nil {
			day, total = w.Day, w.Total
		}
		row(b.Tenant, b.Cluster, b.Database, b.Oldest, b.Newest, size, day, total, b.Exported, b.Drilled,
			msOrNull(b.RPO), msOrNull(b.Promised.RPO), msOrNull(b.RTO), msOrNull(b.Promised.RTO))
	}
}

// msOrNull is a time in milliseconds, nil for none.
func msOrNull(d time.Duration) any {
	if d <= 0 {
		return nil
	}
	return d.Milliseconds()
}

// baseKind says whether a base backup has all, or what has changed since another.
func baseKind(b *overview.Base) string {
	if b.Since != "" {
		return "incremental"
	}
	return "full"
}

// ratio is how many bytes there were for each that is stored; 0 if nothing is.
func ratio(b *overview.Base) float64 {
	if b.Stored == 0 {
		return 0
	}
	return float64(b.Size) / float64(b.Stored)
}

func ratioText(b *overview.Base) string { return strconv.FormatFloat(ratio(b), 'f', 2, 64) }

package admin

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"howdah/backup/drill"
	"howdah/backup/wal"
)

// backupCollector tells how the backups of clusters stand. What can go stale is a time, not
// a yes or no.
type backupCollector struct {
	backups func() []ClusterBackups
	all     []*prometheus.Desc

	state, received, durable, timeline, rpo, until, gaps, lastGap, failed                                     *prometheus.Desc
	bytesIn, bytesOut, objects, shared, unread                                                                *prometheus.Desc
	slotStatus, slotRetained, slotSafe, slotAsked, slotLost, hang, standbyKept, standbyRestart                *prometheus.Desc
	baseCount, baseLast, baseDuration, baseSize, baseStored, baseRatio, baseInterval, baseFailed, baseRunning *prometheus.Desc
	restorableFrom, restorableTo, read                                                                        *prometheus.Desc
	drillInterval, drillLast, drillPassed, drillRTO, drillRPO, drillPages                                     *prometheus.Desc
	rpoPromised, rtoPromised, rtoExpected                                                                     *prometheus.Desc
}

// RegisterBackups registers how backups stand.
func RegisterBackups(r *prometheus.Registry, backups func() []ClusterBackups) {
	c := &backupCollector{backups: backups}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		d := prometheus.NewDesc("howdah_"+name, help, append([]string{"cluster"}, labels...), nil)
		c.all = append(c.all, d)
		return d
	}
	c.state = desc("wal_receiver_state", "1 for the state that the receiver of a cluster's WAL has on this node: receiving, elsewhere (another node receives), disconnected or off.", "state")
	c.received = desc("wal_received_lsn", "Up to which position WAL was received, in bytes.")
	c.durable = desc("wal_durable_lsn", "Up to which position all WAL is stored, in bytes.")
	c.timeline = desc("wal_timeline", "The timeline that is received.")
	c.rpo = desc("wal_rpo_seconds", "How much would be lost if the cluster were: the time since the newest moment up to which all commits are stored. Absent where another node receives.")
	c.rpoPromised = desc("backup_rpo_promised_seconds", "What wal_rpo_seconds may be: the least backup_rpo of the cluster's tenants; absent if none has one.")
	c.rtoExpected = desc("backup_rto_expected_seconds", "How long a restore of a tenant to the newest moment would take, an estimate, of the tenant with a backup_rto that is the furthest beyond it, or the nearest to it; absent if none has one.")
	c.rtoPromised = desc("backup_rto_promised_seconds", "What backup_rto_expected_seconds may be: backup_rto of that tenant.")
	c.until = desc("wal_durable_timestamp_seconds", "The newest time, by the primary's clock, of which it is known that all commits before it are stored; 0 if none is known though WAL is received, or is to be; absent where only archive_command stores it.")
	c.gaps = desc("wal_gaps", "Gaps that are recorded: WAL that was lost.")
	c.lastGap = desc("wal_last_gap_timestamp_seconds", "When the last of these gaps was found; absent if none is recorded.")
	c.failed = desc("wal_last_error_timestamp_seconds", "When storing WAL, or connecting, last failed on this node; absent if it never did.")
	c.bytesIn = desc("wal_received_bytes_total", "Bytes of WAL received on this node.")
	c.bytesOut = desc("wal_stored_bytes_total", "Bytes of the objects with WAL that this node stored.")
	c.objects = desc("wal_stored_objects_total", "Objects with WAL that this node stored.")
	c.shared = desc("wal_shared_bytes_total", "Bytes of WAL received on this node that are no single database's: of commits, for example, and of what all databases share.")
	c.unread = desc("wal_unread_total", "Times that WAL was received on this node of which it could not be told what it is of; it is stored all the same.")
	c.slotStatus = desc("wal_slot_status", "1 for what the primary says of the replication slot: reserved, extended, unreserved, lost or absent.", "status")
	c.slotRetained = desc("wal_slot_retained_bytes", "Bytes of WAL that the primary keeps for the replication slot.")
	c.slotSafe = desc("wal_slot_safe_bytes", "Bytes of WAL that can be written before the slot may be lost; absent if any number can.")
	c.slotAsked = desc("wal_slot_asked_timestamp_seconds", "When the primary last told of the replication slot.")
	c.hang = desc("wal_commits_hang", "1 where there are roles or databases whose commits wait for ever: they wait for Howdah until WAL is applied (synchronous_commit = remote_apply), which it never is here.")
	c.slotLost = desc("wal_slot_lost_timestamp_seconds", "When a slot was last found that the primary had given up; absent if none was.")
	c.standbyKept = desc("wal_standby_slot_kept_timestamp_seconds", "When the slot was last tended on a standby, which may be the next primary; 0 if it never was.", "member")
	c.standbyRestart = desc("wal_standby_slot_restart_lsn", "The oldest position of which a standby keeps the WAL for the slot, in bytes.", "member")
	c.baseCount = desc("base_backups", "Base backups there are.")
	c.baseLast = desc("base_backup_last_success_timestamp_seconds", "When the newest base backup was done; 0 if there is none.")
	c.baseDuration = desc("base_backup_duration_seconds", "How long the newest base backup took.")
	c.baseSize = desc("base_backup_size_bytes", "Bytes of files in the newest base backup.")
	c.baseStored = desc("base_backup_stored_bytes", "Bytes of objects of the newest base backup.")
	c.baseRatio = desc("base_backup_compression_ratio", "Bytes of files for each byte stored, of the newest base backup.")
	c.baseInterval = desc("base_backup_interval_seconds", "How long after a base backup the next one is taken; 0 if that is nobody's business.")
	c.baseFailed = desc("base_backup_last_error_timestamp_seconds", "When taking a base backup last failed on this node; absent if it never did.")
	c.baseRunning = desc("base_backup_running_since_timestamp_seconds", "Since when a base backup is being taken on this node; absent if none is.")
	c.drillInterval = desc("drill_interval_seconds", "How long after a drill the next one is done; 0 if that is nobody's business.")
	c.drillLast = desc("drill_last_timestamp_seconds", "When the newest drill was done, whatever came of it; absent if there was none.")
	c.drillPassed = desc("drill_last_success_timestamp_seconds", "When the newest drill was done in which nothing was wrong; 0 if there was none.")
	c.drillRTO = desc("drill_rto_seconds", "How long the restore of that drill took.")
	c.drillRPO = desc("drill_rpo_seconds", "How much would have been lost, had the cluster been lost when that drill began.")
	c.drillPages = desc("drill_invalid_page_lines", "Lines of the newest drill's server that tell of pages that were not restored.")
	c.restorableFrom = desc("backup_oldest_restorable_timestamp_seconds", "The oldest time that can be restored.")
	c.restorableTo = desc("backup_newest_restorable_timestamp_seconds", "The newest time that can be restored.")
	c.read = desc("backup_read_timestamp_seconds", "When what the store has of the cluster was last read.")
	r.MustRegister(c)
}

// Describe implements prometheus.Collector.
func (c *backupCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.all {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *backupCollector) Collect(ch chan<- prometheus.Metric) {
	m := metricSink{ch}
	for _, b := range c.backups() {
		c.collectStored(m, &b)
		if b.Receiving != nil {
			c.collectReceiving(m, b.Cluster, b.Receiving)
			m.counter(c.shared, float64(b.Shared), b.Cluster)
		}
	}
}

// unix is a time in Prometheus' unit, 0 for none.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func (m metricSink) time(d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		m.gauge(d, unix(t), labels...)
	}
}

func (c *backupCollector) collectStored(m metricSink, b *ClusterBackups) {
	name := b.Cluster
	if b.Wanted {
		m.gauge(c.baseInterval, b.Interval.Seconds(), name)
	}
	if s := b.Scheduling; s != nil {
		m.time(c.baseFailed, s.LastErrorAt, name)
		m.time(c.baseRunning, s.Since, name)
	}
	m.gauge(c.state, 1, name, b.WALState())
	m.gauge(c.gaps, float64(b.GapCount()), name)
	m.time(c.lastGap, b.LastGap(), name)
	if lost, known := b.RPO(time.Now()); known {
		m.gauge(c.rpo, lost.Seconds(), name)
	}
	if b.RPOPromised > 0 {
		m.gauge(c.rpoPromised, b.RPOPromised.Seconds(), name)
	}
	if r := b.RTO; r != nil {
		m.gauge(c.rtoExpected, r.Expected.Seconds(), name)
		m.gauge(c.rtoPromised, r.Promised.Seconds(), name)
	}
	if b.Read.IsZero() { // then it is not known what there is
		m.time(c.until, b.DurableUntil(), name)
		return
	}
	m.time(c.read, b.Read, name)
	// Nobody who receives knows how new it is what archive_command has had stored.
	if until := b.DurableUntil(); !until.IsZero() || b.WALState() == walDisconnected || b.WALState() == walReceiving {
		m.gauge(c.until, unix(until), name)
	}
	m.gauge(c.baseCount, float64(len(b.Bases)), name)
	if len(b.Bases) == 0 {
		m.gauge(c.baseLast, 0, name)
		return
	}
	newest := &b.Bases[0]
	m.time(c.baseLast, newest.Finished, name)
	m.gauge(c.baseDuration, newest.Took().Seconds(), name)
	m.gauge(c.baseSize, float64(newest.Size), name)
	m.gauge(c.baseStored, float64(newest.Stored), name)
	m.gauge(c.baseRatio, ratio(newest), name)
	c.collectDrills(m, b)
	from, to := b.Restorable()
	m.time(c.restorableFrom, from, name)
	m.time(c.restorableTo, to, name)
}

func (c *backupCollector) collectDrills(m metricSink, b *ClusterBackups) {
	name := b.Cluster
	m.gauge(c.drillInterval, b.DrillInterval.Seconds(), name)
	i := slices.IndexFunc(b.Drills, func(r drill.Record) bool { return r.Passed() })
	if i < 0 {
		m.gauge(c.drillPassed, 0, name)
	} else {
		passed := &b.Drills[i]
		m.time(c.drillPassed, passed.Finished, name)
		m.gauge(c.drillRTO, passed.RTO, name)
		m.gauge(c.drillRPO, passed.RPO, name)
	}
	if len(b.Drills) > 0 {
		m.time(c.drillLast, b.Drills[0].Finished, name)
		m.gauge(c.drillPages, float64(b.Drills[0].InvalidPages), name)
	}
}

func (c *backupCollector) collectReceiving(m metricSink, name string, r *wal.Stats) {
	m.counter(c.bytesIn, float64(r.BytesIn), name)
	m.counter(c.bytesOut, float64(r.BytesOut), name)
	m.counter(c.objects, float64(r.Objects), name)
	m.counter(c.unread, float64(r.Unread), name)
	m.time(c.failed, r.LastErrorAt, name)
	m.time(c.slotLost, r.SlotLost, name)
	if r.Received != 0 {
		m.gauge(c.received, float64(r.Received), name)
		m.gauge(c.durable, float64(r.Durable), name)
		m.gauge(c.timeline, float64(r.Timeline), name)
	}
	for _, s := range r.Standbys {
		m.gauge(c.standbyKept, unix(s.Kept), name, s.Address)
		if s.Restart != 0 {
			m.gauge(c.standbyRestart, float64(s.Restart), name, s.Address)
		}
	}
	if s := &r.Slot; !s.Asked.IsZero() {
		m.gauge(c.slotStatus, 1, name, s.Status)
		m.gauge(c.slotRetained, float64(s.Retained), name)
		m.time(c.slotAsked, s.Asked, name)
		hang := 0.0
		if s.Waits.Hang() {
			hang = 1
		}
		m.gauge(c.hang, hang, name)
		if s.Safe >= 0 {
			m.gauge(c.slotSafe, float64(s.Safe), name)
		}
	}
}

package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	console "howdah/admin"
	"howdah/admin/fleet"
	"howdah/tenants/catalog"
)

// BaseBackup is a row of the console's SHOW BACKUPS.
type BaseBackup struct {
	ID        string     `json:"id"`
	Since     string     `json:"since,omitempty" doc:"the base backup since which this one has what has changed; none: it has all"`
	Major     int        `json:"major" doc:"PostgreSQL's version"`
	Started   time.Time  `json:"started"`
	Finished  time.Time  `json:"finished"`
	Size      int64      `json:"size" doc:"bytes of files"`
	Stored    int64      `json:"stored" doc:"bytes of objects"`
	Databases int        `json:"databases" doc:"how many there were"`
	StartLSN  string     `json:"start_lsn"`
	StopLSN   string     `json:"stop_lsn"`
	Timeline  uint32     `json:"timeline"`
	Held      bool       `json:"held,omitempty" doc:"it is never deleted"`
	HeldBy    string     `json:"held_by,omitempty"`
	HeldFor   string     `json:"held_for,omitempty" doc:"the reason"`
	Oldest    time.Time  `json:"oldest" doc:"the oldest time that a restore can go to with it"`
	Newest    *time.Time `json:"newest,omitempty" doc:"the newest one; none: nobody knows"`
}

// WAL is a row of the console's SHOW WAL.
type WAL struct {
	State        string     `json:"state" enum:"receiving,elsewhere,disconnected,off" doc:"of this node's receiver"`
	Timeline     uint32     `json:"timeline,omitempty"`
	Received     string     `json:"received_lsn,omitempty"`
	Durable      string     `json:"durable_lsn,omitempty" doc:"all before it is stored"`
	DurableUntil *time.Time `json:"durable_until,omitempty" doc:"the newest time of which it is known that all commits before it are stored"`
	RPO          *float64   `json:"rpo_seconds,omitempty" doc:"how much would be lost if the cluster were"`
	RPOPromised  float64    `json:"rpo_promised_seconds,omitempty" doc:"how much may be, by backup_rpo of its tenants"`
	Gaps         int        `json:"gaps" doc:"how often WAL was lost"`
	Slot         string     `json:"slot_status,omitempty" doc:"what the primary says of the replication slot: reserved, extended, unreserved, lost or absent"`
	Retained     int64      `json:"slot_retained_bytes,omitempty" doc:"of WAL, that the primary keeps for it"`
	Taking       string     `json:"taking,omitempty" doc:"what the base backup is for that is being taken, and how far it is"`
	Error        string     `json:"error,omitempty"`
	Read         *time.Time `json:"read,omitempty" doc:"when what the store has was read last"`
}

// TenantBackups is a row of the console's SHOW TENANT_BACKUPS.
type TenantBackups struct {
	Oldest      *time.Time `json:"oldest,omitempty" doc:"the oldest time that it can be restored to from a base backup; none: no base backup has its database"`
	Newest      *time.Time `json:"newest,omitempty" doc:"the newest time that it can be restored to"`
	Size        int64      `json:"size,omitempty" doc:"bytes of its files in the newest base backup"`
	WALDay      *int64     `json:"wal_bytes_day,omitempty" doc:"bytes of WAL that it has written in the last 24 hours; none: this node does not receive it"`
	WALTotal    *int64     `json:"wal_bytes_total,omitempty" doc:"the same, since Howdah was started"`
	Exported    *time.Time `json:"exported,omitempty" doc:"when its newest export was taken"`
	Drilled     *time.Time `json:"drilled,omitempty" doc:"when the newest drill that had its database has passed"`
	RPO         float64    `json:"rpo_seconds,omitempty" doc:"how much of its newest work would be lost if its cluster were; none: nobody knows"`
	RPOPromised float64    `json:"rpo_promised_seconds,omitempty" doc:"its backup_rpo"`
	RTO         float64    `json:"rto_seconds,omitempty" doc:"how long a restore of it to the newest moment would take, an estimate; none: nobody knows"`
	RTOPromised float64    `json:"rto_promised_seconds,omitempty" doc:"its backup_rto"`
}

// Drill is a row of the console's SHOW DRILLS.
type Drill struct {
	ID           string    `json:"id"`
	Database     string    `json:"database,omitempty" doc:"none: all of the cluster"`
	Started      time.Time `json:"started"`
	Finished     time.Time `json:"finished"`
	Target       string    `json:"target,omitempty" doc:"to which moment"`
	Base         string    `json:"base_backup,omitempty"`
	Passed       bool      `json:"passed"`
	RPO          float64   `json:"rpo_seconds" doc:"how much would have been lost, had the cluster been lost when it began"`
	RTO          float64   `json:"rto_seconds,omitempty" doc:"how long the restore took; none: it did not come to that"`
	Bytes        int64     `json:"bytes" doc:"of the base backup, that were fetched"`
	WAL          int64     `json:"wal_bytes" doc:"that were replayed, at most"`
	Databases    int       `json:"databases" doc:"how many were checked"`
	InvalidPages int       `json:"invalid_page_lines"`
	Error        string    `json:"error,omitempty"`
}

func (s *server) backups(api huma.API) {
	huma.Register(api, operation("list-drills", "GET", "/clusters/{name}/drills", "List the drills of a cluster, the newest first", viewer), s.listDrills)
	huma.Register(api, operation("list-backups", "GET", "/clusters/{name}/backups", "List the base backups of a cluster, the newest first", viewer), s.listBackups)
	huma.Register(api, operation("take-backup", "POST", "/clusters/{name}/backups", "Take a base backup of a cluster now; it shows in the list when it is done", operator, accepted), s.takeBackup)
	huma.Register(api, operation("hold-backup", "PUT", "/clusters/{name}/backups/{id}/hold", "Have a base backup never be deleted", operator), s.holdBackup)
	huma.Register(api, operation("release-backup", "DELETE", "/clusters/{name}/backups/{id}/hold", "Have a base backup be deleted again when it is not to be kept any more", admin), s.releaseBackup)
	huma.Register(api, operation("get-wal", "GET", "/clusters/{name}/wal", "Tell how far a cluster's WAL is stored", viewer), s.getWAL)
}

// backupsOf returns how the backups of a cluster stand.
func (s *server) backupsOf(name string) (*console.ClusterBackups, error) {
	if s.Console.Backups != nil {
		for _, c := range s.Console.Backups() {
			if c.Cluster == name {
				return &c, nil
			}
		}
	}
	return nil, s.problem(fmt.Errorf("backups of cluster %q: %w", name, catalog.ErrNotFound))
}

func (s *server) listBackups(_ context.Context, in *ByName) (*struct{ Body []BaseBackup }, error) {
	c, err := s.backupsOf(in.Name)
	if err != nil {
		return nil, err
	}
	all := []BaseBackup{}
	for i := range c.Bases {
		b := &c.Bases[i]
		one := BaseBackup{
			ID: b.ID, Since: b.Since, Major: b.Major, Started: b.Started, Finished: b.Finished, Size: b.Size, Stored: b.Stored,
			Databases: len(b.DatabasesAtEnd), StartLSN: b.Start.LSN.String(), StopLSN: b.Stop.LSN.String(), Timeline: b.Stop.Timeline,
			Oldest: b.Oldest, Newest: orNone(b.Newest),
		}
		if h := b.Hold; h != nil {
			one.Held, one.HeldBy, one.HeldFor = true, h.By, h.Reason
		}
		all = append(all, one)
	}
	return &struct{ Body []BaseBackup }{all}, nil
}

func (s *server) listDrills(_ context.Context, in *ByName) (*struct{ Body []Drill }, error) {
	c, err := s.backupsOf(in.Name)
	if err != nil {
		return nil, err
	}
	all := []Drill{}
	for i := range c.Drills {
		d := &c.Drills[i]
		all = append(all, Drill{
			ID: d.ID, Database: d.Database, Started: d.Started, Finished: d.Finished, Target: d.Target, Base: d.Base, Passed: d.Passed(),
			RPO: d.RPO, RTO: d.RTO, Bytes: d.Bytes, WAL: d.WAL, Databases: d.Databases, InvalidPages: d.InvalidPages, Error: d.Error,
		})
	}
	return &struct{ Body []Drill }{all}, nil
}

// backupsOfTenant tells how the backups of a tenant stand; nil: nobody knows.
func (s *server) backupsOfTenant(name string) *TenantBackups {
	if s.Console == nil || s.Console.TenantBackups == nil {
		return nil
	}
	all := s.Console.TenantBackups(name)
	if len(all) == 0 {
		return nil
	}
	b := &all[0]
	found := &TenantBackups{
		Oldest: orNone(b.Oldest), Newest: orNone(b.Newest), Size: b.Size, Exported: orNone(b.Exported), Drilled: orNone(b.Drilled),
		RPO: b.RPO.Seconds(), RPOPromised: b.Promised.RPO.Seconds(), RTO: b.RTO.Seconds(), RTOPromised: b.Promised.RTO.Seconds(),
	}
	if w := b.Written; w != nil {
		found.WALDay, found.WALTotal = &w.Day, &w.Total
	}
	return found
}

// takeBackup begins what is no job: a base backup that is cut off is none, and the schedule
// takes the next.
func (s *server) takeBackup(ctx context.Context, in *ByName) (*struct{}, error) {
	if _, err := s.backupsOf(in.Name); err != nil {
		return nil, err
	}
	if s.TakeBackup == nil {
		return nil, huma.Error409Conflict("nobody takes base backups here")
	}
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	by := actor(ctx)
	if err := f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error { return tx.Audit("backup", catalog.Cluster, in.Name, nil) }); err != nil {
		return nil, s.problem(err)
	}
	err = s.TakeBackup(in.Name, by.Name+" has asked for it")
	if errors.Is(err, ErrNotHere) {
		return nil, huma.Error409Conflict(err.Error())
	}
	return nil, s.problem(err)
}

// ErrNotHere is of a base backup that this node cannot take now.
var ErrNotHere = errors.New("not now")

// ByBackup is a path with a cluster and one of its base backups in it.
type ByBackup struct {
	ByName
	ID string `path:"id" maxLength:"100"`
}

func (s *server) holdBackup(ctx context.Context, in *struct {
	ByBackup
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"1000" doc:"why: it is kept with it"`
		Until  string `json:"until,omitempty" maxLength:"100" doc:"keep the WAL too that a restore from it to this moment needs: latest, a time with its zone, or lsn:16/B374D848; none: up to its stop"`
	}
},
) (*struct{}, error) {
	return nil, s.ofBackup(ctx, in.Name, func(f *fleet.Fleet) error {
		return f.HoldBackup(ctx, actor(ctx), in.Name, in.ID, in.Body.Reason, in.Body.Until)
	})
}

func (s *server) releaseBackup(ctx context.Context, in *ByBackup) (*struct{}, error) {
	return nil, s.ofBackup(ctx, in.Name, func(f *fleet.Fleet) error {
		return f.ReleaseBackup(ctx, actor(ctx), in.Name, in.ID)
	})
}

// ofBackup does something to a base backup of a cluster, and has it be looked at again.
func (s *server) ofBackup(ctx context.Context, cluster string, do func(*fleet.Fleet) error) error {
	if _, err := s.backupsOf(cluster); err != nil {
		return err
	}
	f, err := s.fleet()
	if err != nil {
		return err
	}
	if err := do(f); err != nil {
		return s.problem(err)
	}
	if s.ReadBackups != nil {
		s.ReadBackups()
	}
	return nil
}

func (s *server) getWAL(_ context.Context, in *ByName) (*struct{ Body WAL }, error) {
	c, err := s.backupsOf(in.Name)
	if err != nil {
		return nil, err
	}
	w := WAL{
		State: c.WALState(), Timeline: c.Timeline, DurableUntil: orNone(c.DurableUntil()), Gaps: c.GapCount(), Taking: c.Taking(), Error: c.Trouble(), Read: orNone(c.Read),
		RPOPromised: c.RPOPromised.Seconds(),
	}
	if lost, known := c.RPO(time.Now()); known {
		seconds := lost.Seconds()
		w.RPO = &seconds
	}
	if c.LSN != 0 {
		w.Durable = c.LSN.String()
	}
	if r := c.Receiving; r != nil {
		if r.Received != 0 {
			w.Timeline, w.Received, w.Durable = r.Timeline, r.Received.String(), r.Durable.String()
		}
		w.Slot, w.Retained = r.Slot.Status, r.Slot.Retained
	}
	return &struct{ Body WAL }{w}, nil
}

// orNone is nil for the zero time.
func orNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin/jobs"
	"howdah/provision"
	"howdah/provision/odoo"
	"howdah/tenants/catalog"
)

// A tenant that is swapped keeps its name, its user and its entry, and gets another database:
// the one that was restored, or the one that was kept when it was swapped the last time.

// swapping says which database comes in the place of a tenant's own.
type swapping struct {
	onTenant
	Database   string `json:"database"`
	User       string `json:"user"`
	Filler     string `json:"filler,omitempty"`      // as provision.Exchange has it
	FillerRole string `json:"filler_role,omitempty"` //
	Kept       string `json:"kept,omitempty"`        // the operation that has kept what comes back
	OID        uint32 `json:"oid,omitempty"`         // of that

	files *wantedFiles // what the database refers to that comes
}

// fillerName is what the role is called that fills a database which is to be swapped in.
func fillerName(job string) string { return "restoring-" + job }

func (p *swapping) exchange(job string) provision.Exchange {
	return provision.Exchange{ID: p.ID, JobID: job, Database: p.Database, Filler: p.Filler, FillerRole: p.FillerRole, OID: p.OID}
}

// swapping is what the restore swaps in.
func (p *restoring) swapping(job string) *swapping {
	return &swapping{onTenant: p.Source.onTenant, Database: p.Source.Database, User: p.Source.User, Filler: p.ID, FillerRole: fillerName(job), files: p.files()}
}

// restoreSwapped restores a tenant, and has what was restored be the tenant's database.
func (f *Fleet) restoreSwapped(ctx context.Context, r *jobs.Run, p *restoring, result map[string]any) error {
	swapped, err := f.hasSwapped(ctx, p.Cluster, r.ID)
	if err != nil {
		return err
	}
	filled := swapped
	if !filled {
		if filled, _, err = f.marked(ctx, p.Cluster, "howdah:"+p.ID+" arrived"); err != nil {
			return err
		}
	}
	if !filled {
		if err := f.fillFromBackup(ctx, r, p, result); err != nil {
			return err
		}
	}
	return f.swap(ctx, r, p.swapping(r.ID), importParts-swapParts, result)
}

// swapParts are the steps of a swap, at most.
const swapParts = 9

// hasSwapped reports whether a tenant's database was put away by an operation.
func (f *Fleet) hasSwapped(ctx context.Context, cluster, operation string) (bool, error) {
	_, err := f.heldOID(ctx, cluster, operation)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// swap puts a database in the place of the tenant's own while clients are held, and ends the
// operation.
func (f *Fleet) swap(ctx context.Context, r *jobs.Run, p *swapping, done int, result map[string]any) error {
	c := &changing{run: r, cluster: p.Cluster, op: p.exchange(r.ID), done: done, after: 3}
	release, err := f.change(ctx, c, provision.Plan)
	defer release()
	if err != nil {
		return err
	}
	end, err := f.position(ctx, p.Cluster)
	if err != nil {
		return err
	}
	seen := f.seenByStandbys(ctx, p.Cluster, end, standbysHeld)
	oid, err := f.heldOID(ctx, p.Cluster, r.ID)
	if err != nil {
		return err
	}
	err = r.Step(ctx, "keep what was there", c.done, c.done+3, func(ctx context.Context) error {
		return r.Change(ctx, func(tx *catalog.Tx) error {
			if err := tx.EndHold(r.ID); err != nil {
				return err
			}
			return p.keep(tx, r, oid)
		})
	})
	if err != nil {
		return err
	}
	release()
	if !seen {
		f.replaceReaders(ctx, r, p.Cluster, end)
	}
	// Odoo may have collected files meanwhile that the database did not refer to which was there.
	err = r.Step(ctx, "look for files", c.done+1, c.done+3, func(ctx context.Context) error {
		return f.filesOfDatabase(ctx, r, p.wantedFiles(r.Tenant), p.Cluster, p.Database, result)
	})
	if err != nil {
		return err
	}
	return r.Finish(ctx, result, nil)
}

// wantedFiles are those of the database that has come.
func (p *swapping) wantedFiles(tenant string) *wantedFiles {
	if p.files != nil {
		return p.files
	}
	return &wantedFiles{clusters: []string{p.Cluster}, names: distinct(tenant, p.Database), user: p.User}
}

// keep notes that the database that was the tenant's is kept, as a dropped tenant's is, and
// that the one that has come is not any more.
func (p *swapping) keep(tx *catalog.Tx, r *jobs.Run, oid uint32) error {
	if p.Kept != "" {
		if err := tx.ForgetDropped(p.Kept); err != nil {
			return err
		}
	}
	if _, err := tx.DroppedBy(r.ID); !errors.Is(err, catalog.ErrNotFound) {
		return err // nil: it is noted
	}
	e, err := tx.Entry(catalog.Tenant, r.Tenant)
	if err != nil {
		return err
	}
	d := &catalog.Dropped{Operation: r.ID, ID: p.ID, Name: r.Tenant, Settings: e.Settings, User: catalog.Settings{}, OID: oid, Purge: time.Now().Add(KeepFor)}
	u, err := tx.Entry(catalog.User, p.User)
	if err == nil {
		d.User, d.UserID = u.Settings, u.ID
	} else if !errors.Is(err, catalog.ErrNotFound) { // one of howdah.toml
		return err
	}
	return tx.AddDropped(d)
}

// How long standbys may take to see a swap: while clients are held, and then while they work.
const (
	standbysHeld  = 5 * time.Second
	standbysLater = 10 * time.Minute
	standbysPause = 20 * time.Millisecond
)

// position is up to where a cluster's primary has written WAL.
func (f *Fleet) position(ctx context.Context, cluster string) (lsn string, err error) {
	conn, err := f.connect(ctx, cluster)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, "select pg_catalog.pg_current_wal_insert_lsn()::text").Scan(&lsn)
	return lsn, err
}

// replayed asks whether all standbys are at a position. Who only receives WAL tells of no
// replay.
const replayed = `select coalesce(bool_and(replay_lsn >= $1::text::pg_lsn), true) from pg_catalog.pg_stat_replication
	where replay_lsn is not null and pid not in (select active_pid from pg_catalog.pg_replication_slots where slot_type = 'logical' and active_pid is not null)`

// seenByStandbys waits until all standbys have replayed up to a position: a login there finds
// the database that had the name before. It reports whether they have, within so long.
func (f *Fleet) seenByStandbys(ctx context.Context, cluster, lsn string, within time.Duration) bool {
	conn, err := f.connect(ctx, cluster)
	if err != nil {
		return false
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for end := time.Now().Add(within); ; {
		var seen bool
		err := conn.QueryRow(ctx, replayed, lsn).Scan(&seen)
		if err != nil || seen {
			return seen
		}
		select {
		case <-time.After(standbysPause):
		case <-ctx.Done():
			return false
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// replaceReaders has the tenant's servers at standbys that were slow be closed, when those
// have seen the swap: until then a login there came to the database of before, and stays in
// it.
func (f *Fleet) replaceReaders(ctx context.Context, r *jobs.Run, cluster, lsn string) {
	f.Log.Warn("a standby is slow to see that a tenant has another database: reads there may still come from the one before", "tenant", r.Tenant)
	if !f.seenByStandbys(ctx, cluster, lsn, standbysLater) {
		f.Log.Error("a standby does not see that a tenant has another database: RECONNECT the tenant when it has caught up", "tenant", r.Tenant)
	}
	release, err := f.hold(ctx, r.ID, []string{r.Tenant}) // which closes them all
	if err != nil {
		f.Log.Error("a tenant's servers at standbys are not replaced: RECONNECT it", "tenant", r.Tenant, "error", err)
		return
	}
	f.letGo(ctx, r, release)
}

// unswap leaves a tenant the database that it has: the one that was there, or, where it has
// come to that, the one that has come.
func (f *Fleet) unswap(ctx context.Context, r *jobs.Run, p *swapping, result map[string]any) error {
	swapped, err := f.hasSwapped(ctx, p.Cluster, r.ID)
	if err != nil {
		return err
	}
	if swapped {
		return f.swap(ctx, r, p, 0, result)
	}
	c := &changing{run: r, cluster: p.Cluster, op: p.exchange(r.ID)}
	if _, err := f.change(ctx, c, provision.Undo); err != nil {
		return err
	}
	if p.Filler != "" {
		filler := &creation{ID: p.Filler, Cluster: p.Cluster, User: p.FillerRole, Settings: catalog.Settings{"database": p.FillerRole}}
		c.op = f.fillingOf(r, filler, odoo.None).receiving()
		if _, err := f.change(ctx, c, provision.Undo); err != nil {
			return err
		}
	}
	return r.Change(ctx, func(tx *catalog.Tx) error { return tx.EndHold(r.ID) })
}

// unrestore swaps back.
func (f *Fleet) unrestore(ctx context.Context, r *jobs.Run) error {
	var p swapping
	if err := r.Decode(&p); err != nil {
		return err
	}
	return f.swap(ctx, r, &p, 0, p.says())
}

func (f *Fleet) rerestore(ctx context.Context, r *jobs.Run) error {
	var p swapping
	if err := r.Decode(&p); err != nil {
		return err
	}
	return f.unswap(ctx, r, &p, p.says())
}

func (p *swapping) says() map[string]any {
	return map[string]any{"cluster": p.Cluster, "database": p.Database, "user": p.User}
}

// UndoRestore begins to give a tenant that was swapped the database back that it had before;
// the one that it has is kept in its place. With dry it says what it would do.
func (f *Fleet) UndoRestore(ctx context.Context, by catalog.Actor, name string, dry bool) (*Restoring, error) {
	e, err := f.exportable(ctx, name)
	if err != nil {
		return nil, err
	}
	if stateOf(e) == suspended {
		return nil, invalid("", "tenant %q is suspended: resume it first", name)
	}
	d, err := f.keptOf(ctx, e)
	if err != nil {
		return nil, err
	}
	p := &swapping{onTenant: onTenant{e.ID, e.Settings.Text("cluster")}, Database: e.Settings.Text("database"), User: e.Settings.Text("user"), Kept: d.Operation, OID: d.OID}
	made := &Restoring{Creation: Creation{Name: name, Cluster: p.Cluster, Why: "the tenant is there", Database: p.Database, User: p.User}, Tenant: name, From: p.Cluster, Swap: true}
	if dry {
		made.Steps, err = f.preview(ctx, p.Cluster, p.exchange("dry-run"))
		return made, asInvalid(err)
	}
	err = f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		if now, err := f.tenant(tx, name); err != nil {
			return err
		} else if now.ID != p.ID || now.Revision != e.Revision {
			return fmt.Errorf("tenant %q: %w: try again", name, catalog.ErrChanged)
		}
		if _, err := tx.DroppedBy(p.Kept); err != nil {
			return err
		}
		made.Operation, err = f.runner.Begin(ctx, tx, "unrestore", name, p)
		return err
	})
	return made, err
}

// keptOf returns what is kept of a tenant since it was swapped last.
func (f *Fleet) keptOf(ctx context.Context, e *catalog.Entry) (*catalog.Dropped, error) {
	all, err := f.Catalog.DroppedTenants(ctx) // the last one first
	if err != nil {
		return nil, err
	}
	for i := range all {
		d := &all[i]
		if d.ID != e.ID || d.Settings.Text("cluster") != e.Settings.Text("cluster") {
			continue
		}
		o, err := f.Catalog.Operation(ctx, d.Operation)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return nil, err
		}
		if err == nil && strings.HasSuffix(o.Kind, "restore") {
			return d, nil
		}
	}
	return nil, fmt.Errorf("a database of tenant %q that is kept since a restore: %w", e.Name, catalog.ErrNotFound)
}

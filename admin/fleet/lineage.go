package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"howdah/admin/jobs"
	"howdah/backup/lineage"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/provision"
	"howdah/tenants/catalog"
)

// recordWithin is for how long an operation waits until it is stored which database the
// tenant has now. What is not stored by then is kept in the catalog, and stored later: a
// restore is quicker with it, and does without (lineage.Record).
const recordWithin = 5 * time.Second

// traced are the parameters of operations as far as they say which tenants' databases are
// others, or called otherwise, or gone, and on which clusters.
type traced struct {
	onTenant
	To     json.RawMessage `json:"to"`
	Source origin          `json:"source"`
	Swap   bool            `json:"swap"`
}

// trace is which tenant an operation was on, and where.
type trace struct {
	id, name string
	what     string
	clusters []string
}

// traceOf returns nil for an operation after which nothing is otherwise that matters here.
func traceOf(o *catalog.Operation) *trace {
	var p traced
	if err := json.Unmarshal(o.Parameters, &p); err != nil {
		return nil
	}
	t := &trace{p.ID, o.Tenant, o.Kind, []string{p.Cluster}}
	switch o.Kind {
	case "create", "clone", "import", "drop", "undrop", "follow", "unrestore":
	case "rename":
		var to Names
		if json.Unmarshal(p.To, &to) == nil {
			t.name = to.Name
		}
	case "move":
		var to string
		if json.Unmarshal(p.To, &to) == nil {
			t.clusters = append(t.clusters, to)
		}
	case "restore":
		if p.Swap {
			t.id, t.what = p.Source.ID, swapped
		}
	default:
		return nil
	}
	return t
}

// record has it be stored which database a tenant has, before an operation is said to be
// done.
func (f *Fleet) record(ctx context.Context, r *jobs.Run) error {
	t := traceOf(r.Operation)
	if t == nil || f.Repository == nil {
		return nil
	}
	for _, cluster := range t.clusters {
		if err := f.recordOn(ctx, r, t, cluster); err != nil {
			return err
		}
	}
	return nil
}

// recordOn fails where the cluster or the catalog does, which the operation could not do
// without either; not where the store does.
func (f *Fleet) recordOn(ctx context.Context, r *jobs.Run, t *trace, cluster string) error {
	storing, cancel := context.WithTimeout(ctx, recordWithin)
	defer cancel()
	repo, err := f.Repository(cluster)
	if repo == nil && err == nil {
		return nil // nothing is backed up
	}
	record, seen := f.databaseOf(ctx, cluster, t.id)
	if seen != nil {
		return seen
	}
	record.Name, record.What, record.Operation = t.name, t.what, r.ID
	if err == nil {
		err = f.storeKept(storing, repo) // in order
	}
	if err == nil {
		err = lineage.Put(storing, repo, *record)
	}
	switch {
	case err == nil, errors.Is(err, repository.ErrEmpty): // or nothing has been backed up yet
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	f.Log.Warn("which database a tenant has is kept in the catalog, until it can be stored", "tenant", t.name, "cluster", cluster, "error", err)
	return f.Catalog.KeepLineage(ctx, cluster, record)
}

// databaseOf returns which database a tenant has on a cluster.
func (f *Fleet) databaseOf(ctx context.Context, cluster, id string) (r *lineage.Record, err error) {
	conn, back, err := f.borrow(ctx, cluster)
	if err != nil {
		return nil, err
	}
	defer func() { back(err) }()
	r = &lineage.Record{Tenant: id}
	r.OID, r.Database, err = provision.Find(ctx, conn, id)
	if err != nil && !errors.Is(err, provision.ErrNotFound) {
		return nil, err
	}
	var lsn string
	err = conn.QueryRow(ctx, `select pg_catalog.pg_current_wal_insert_lsn()::text, pg_catalog.clock_timestamp(), system_identifier::text from pg_catalog.pg_control_system()`).Scan(&lsn, &r.Time, &r.System)
	if err != nil {
		return nil, fmt.Errorf("ask cluster %q where it is: %w", cluster, err)
	}
	r.Time = r.Time.UTC()
	r.LSN, err = replication.ParseLSN(lsn)
	return r, err
}

// storeKept stores what was kept of a cluster.
func (f *Fleet) storeKept(ctx context.Context, repo *repository.Repository) error {
	kept, err := f.Catalog.KeptLineage(ctx, repo.Cluster)
	if err != nil {
		return err
	}
	for _, k := range kept {
		var r lineage.Record
		if err := json.Unmarshal(k.Record, &r); err != nil {
			return err
		}
		err := lineage.Put(ctx, repo, r)
		if errors.Is(err, repository.ErrForeign) { // the cluster's name is another's by now
			f.Log.Warn("which database a tenant had is not stored any more", "tenant", r.Name, "cluster", k.Cluster, "error", err)
			err = nil
		}
		if err == nil {
			err = f.Catalog.ForgetLineage(ctx, k.Seq)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// storeLineage stores what was kept of all clusters.
func (f *Fleet) storeLineage(ctx context.Context) error {
	if f.Repository == nil {
		return nil
	}
	kept, err := f.Catalog.KeptLineage(ctx, "")
	if err != nil {
		return err
	}
	tried := map[string]bool{}
	var all []error
	for _, k := range kept {
		if tried[k.Cluster] {
			continue
		}
		tried[k.Cluster] = true
		repo, err := f.Repository(k.Cluster)
		if err == nil && repo != nil {
			err = f.storeKept(ctx, repo)
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// whereabouts is where a tenant was at a moment, as far as that was recorded.
type whereabouts struct {
	here  bool     // on that cluster
	oid   uint32   // of its database; 0: nobody knows
	known []uint32 // it must be one of them; nil: nobody knows
	name  string   // as it was called then; "": nobody knows
}

// whereWas notes where a tenant was at a moment: on the cluster where it is now, unless a
// record says otherwise. after says of a record whether it is of later; nil is that nobody
// knows.
func (f *Fleet) whereWas(ctx context.Context, p *restoring, after func(*lineage.Record) bool) error {
	p.From = p.Source.Cluster
	if after == nil {
		return nil
	}
	clusters := []string{p.Source.Cluster}
	for c := range f.Registry.Snapshot().Clusters() {
		if c.Name != p.Source.Cluster {
			clusters = append(clusters, c.Name)
		}
	}
	for _, cluster := range clusters {
		was, err := f.recordedOn(ctx, cluster, p.Source.ID, after)
		if err != nil {
			return err
		}
		if was != nil && was.here {
			p.From, p.OID, p.Known, p.Was = cluster, was.oid, was.known, was.name
			return nil
		}
	}
	return nil
}

// recordedOn returns nil where nothing was recorded on a cluster.
func (f *Fleet) recordedOn(ctx context.Context, cluster, id string, after func(*lineage.Record) bool) (*whereabouts, error) {
	repo, err := f.Repository(cluster)
	if err != nil || repo == nil {
		return nil, nil //nolint:nilerr // who needs it is told
	}
	all, err := lineage.List(ctx, repo, id)
	if err != nil {
		f.Log.Warn("what is recorded of a tenant's databases is not gone by", "cluster", cluster, "error", err)
		return nil, nil
	}
	kept, err := f.Catalog.KeptLineage(ctx, cluster)
	if err != nil {
		return nil, err
	}
	for _, k := range kept {
		var r lineage.Record
		if err := json.Unmarshal(k.Record, &r); err != nil {
			return nil, err
		}
		if r.Tenant == id {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b lineage.Record) int { return a.Time.Compare(b.Time) })
	last, next := lineage.Around(all, after)
	switch {
	case last != nil && last.OID != 0:
		was := &whereabouts{here: true, oid: last.OID, known: []uint32{last.OID}, name: last.Name}
		if next != nil {
			was.known = append(was.known, next.OID)
		}
		return was, nil
	case last != nil: // it was gone by then
		return &whereabouts{}, nil
	case next == nil:
		return nil, nil
	}
	return &whereabouts{here: next.OID == 0 || !slices.Contains(births(), next.What)}, nil
}

// births are what operations are called before which a tenant is not on a cluster.
func births() []string { return []string{"create", "clone", "import", "restore", "move"} }

// swapped is what a restore is called that has given a tenant another database.
const swapped = "swap"

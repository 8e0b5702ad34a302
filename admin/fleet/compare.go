package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"howdah/provision"
	"howdah/router"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// What a client has done to a database, and nobody has followed because a node died right
// behind PostgreSQL's command, is found by comparing the catalog with the clusters. A
// database that has another name is followed, and one that a tenant's role has made and
// given nobody a right to is adopted. Everything else is only said, once, and not before
// it was so twice: nothing is dropped or struck because a cluster does not have it, which
// may be the wrong one, or be a copy of an earlier time.

const comparePause = 5 * time.Minute

// compared are the differences that were found when it was last looked.
type compared struct {
	mu   sync.Mutex      // held by who looks
	seen map[string]bool // whether it has been said
}

// Compare compares the catalog with the clusters.
func (f *Fleet) Compare(ctx context.Context) (errs error) {
	f.compared.mu.Lock()
	defer f.compared.mu.Unlock()
	contents, err := f.Catalog.Load(ctx)
	if err != nil || contents.Review != "" {
		return err
	}
	var differences []string
	for c := range f.Registry.Snapshot().Clusters() {
		if c.AdminURL == "" {
			continue
		}
		found, err := f.survey(ctx, c.Name)
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("compare the catalog with cluster %q: %w", c.Name, err))
			continue
		}
		x := comparing{cluster: c.Name, entries: contents.Entries, found: found}
		differences = append(differences, x.tenants()...)
		x.strangers()
		for _, d := range x.unfollowed {
			errs = errors.Join(errs, f.followUp(ctx, d))
		}
	}
	return errors.Join(errs, f.say(ctx, differences))
}

func (f *Fleet) survey(ctx context.Context, cluster string) ([]provision.Found, error) {
	conn, err := f.connect(ctx, cluster)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return provision.Survey(ctx, conn)
}

// followUp begins to follow what has been done, unless an operation is at it.
func (f *Fleet) followUp(ctx context.Context, d router.DatabaseChange) error {
	o, err := f.tryFollowing(ctx, itself, d)
	var busy *catalog.BusyError
	switch {
	case errors.As(err, &busy):
		return nil
	case err != nil:
		return fmt.Errorf("follow what was done to database %q: %w", d.Database, err)
	case o != nil:
		f.Log.Warn("what was done to a database by SQL is followed late", "cluster", d.Cluster, "database", d.Database, "operation", o.ID)
	}
	return nil
}

// say tells of differences that were there before, and of which nothing was said yet. Where
// an operation is under way nobody knows what is to be so.
func (f *Fleet) say(ctx context.Context, differences []string) error {
	underway, err := f.Catalog.Underway(ctx)
	if err != nil {
		return err
	}
	before := f.compared.seen
	f.compared.seen = map[string]bool{}
	for _, text := range differences {
		said, seen := before[text]
		if seen && !said && len(underway) == 0 {
			said = true
			f.Log.Error("the catalog and a cluster differ", "difference", text)
		}
		f.compared.seen[text] = said
	}
	return nil
}

// comparing is the catalog and one cluster.
type comparing struct {
	cluster    string
	entries    []catalog.Entry
	found      []provision.Found
	unfollowed []router.DatabaseChange
}

// tenants compares those that the catalog has on the cluster.
func (x *comparing) tenants() (differences []string) {
	byName, byID := map[string]*provision.Found{}, map[string][]*provision.Found{}
	for i := range x.found {
		d := &x.found[i]
		if byName[d.Name] = d; d.Live {
			byID[d.ID] = append(byID[d.ID], d)
		}
	}
	for _, e := range x.entries {
		if e.Kind != catalog.Tenant || e.Settings.Text("cluster") != x.cluster {
			continue
		}
		name := e.Settings.Text("database")
		own, there := byID[e.ID], byName[name]
		switch {
		case len(own) > 1:
			differences = append(differences, fmt.Sprintf("databases %q and %q of cluster %q both bear the mark of tenant %q: take it from the one that is not the tenant's (COMMENT ON DATABASE … IS NULL)",
				own[0].Name, own[1].Name, x.cluster, e.Name))
		case len(own) == 1 && own[0].Name != name:
			x.unfollowed = append(x.unfollowed, router.DatabaseChange{Command: router.RenameDatabase, Done: true, Cluster: x.cluster, Database: name})
		case len(own) == 1:
		case there == nil:
			differences = append(differences, fmt.Sprintf("cluster %q has no database %q of tenant %q: drop the tenant, or bring the database back", x.cluster, name, e.Name))
		case there.ID != "":
			differences = append(differences, fmt.Sprintf("database %q of cluster %q bears the mark of tenant %s, and is tenant %q's in the catalog", name, x.cluster, there.ID, e.Name))
		default:
			differences = append(differences, fmt.Sprintf("database %q of tenant %q bears no mark of Howdah's: operations will not find it", name, e.Name))
		}
	}
	return differences
}

// strangers looks for databases that a tenant's role has made.
func (x *comparing) strangers() {
	tiers := map[string]string{} // of roles that have tenants here
	known := map[string]bool{}
	for _, e := range x.entries {
		here := e.Settings.Text("cluster") == x.cluster
		switch {
		case e.Kind == catalog.Tenant:
			known[e.Name] = true
			if here {
				known[e.Settings.Text("database")] = true
				tiers[e.Settings.Text("user")] = e.Settings.Text("tier")
			}
		case e.Kind == catalog.User && here: // its tenants are gone
			tiers[e.Name] = e.Settings.Text("tier")
		}
	}
	for _, d := range x.found {
		tier, ok := tiers[d.Owner]
		if ok && d.Fresh && !known[d.Name] && d.Name != tenants.Shared && provision.ValidName(d.Name) == nil {
			x.unfollowed = append(x.unfollowed, router.DatabaseChange{
				Command: router.CreateDatabase, Done: true, Cluster: x.cluster, Database: d.Name, User: d.Owner, Tier: tier,
			})
		}
	}
}

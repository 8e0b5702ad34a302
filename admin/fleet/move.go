package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"howdah/admin/jobs"
	"howdah/provision"
	"howdah/provision/dump"
	"howdah/provision/move"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// Ways to move a tenant.
const (
	Auto      = "auto"
	Replicate = "replicate" // its contents are replicated while its clients work
	Dump      = "dump"      // they are dumped and restored while its clients are held
)

// Moving is a tenant that is being moved.
type Moving struct {
	Operation *catalog.Operation `json:"operation,omitempty"` // nil for a dry run
	Name      string             `json:"name"`
	From      string             `json:"from"`
	To        string             `json:"to"`
	How       string             `json:"how" doc:"replicate or dump"`
	Why       string             `json:"why" doc:"why in that way"`
	HeldFor   float64            `json:"held_for_seconds" doc:"for about how long its clients will be held"`
	Steps     []string           `json:"steps,omitempty"` // of a dry run
}

// moving are the parameters of the operation.
type moving struct {
	onTenant
	To       string `json:"to"`
	How      string `json:"how"`
	Database string `json:"database"`
	User     string `json:"user"`
}

// Destination is where a tenant is moved to.
type Destination struct {
	Cluster string
	How     string // Auto, Replicate or Dump
	// AnotherStore is that the cluster may be one that is backed up to another store.
	AnotherStore bool
}

// MoveTenant begins to move a tenant to another cluster, or with dry says what it would
// do.
func (f *Fleet) MoveTenant(ctx context.Context, by catalog.Actor, name string, d Destination, dry bool) (*Moving, error) {
	to := d.Cluster
	target, err := f.cluster(to)
	if err != nil {
		return nil, &InvalidError{Field: "to", Reason: err}
	}
	e, err := f.movable(ctx, name, to)
	if err != nil {
		return nil, err
	}
	if !d.AnotherStore {
		if err := f.tenantStays("to", e, target); err != nil {
			return nil, err
		}
	}
	p := movingOf(e, to)
	m, err := f.mover(p, "dry-run")
	if err != nil {
		return nil, err
	}
	facts, err := m.Look(ctx)
	if errors.Is(err, move.ErrRefused) {
		return nil, &InvalidError{Reason: err}
	} else if err != nil {
		return nil, err
	}
	made := &Moving{Name: name, From: p.Cluster, To: to}
	if err := made.choose(&facts, d.How); err != nil {
		return nil, err
	}
	p.How = made.How
	if dry {
		made.Steps = p.says()
		return made, nil
	}
	made.Operation, err = f.begin(ctx, by, "move", name, func(now *catalog.Entry) any {
		q := movingOf(now, to)
		q.How = made.How
		return q
	})
	return made, err
}

// movable returns the entry of a tenant that can be moved to a cluster.
func (f *Fleet) movable(ctx context.Context, name, to string) (e *catalog.Entry, err error) {
	e, err = f.Catalog.Entry(ctx, catalog.Tenant, name)
	switch {
	case errors.Is(err, catalog.ErrNotFound) && f.inRegistry(name):
		return nil, fmt.Errorf("tenant %q: %w", name, ErrFile)
	case err != nil:
		return nil, err
	case e.Settings.Text("cluster") == to:
		return nil, invalid("to", "tenant %q is on cluster %q", name, to)
	case stateOf(e) == suspended:
		return nil, invalid("", "tenant %q is suspended: resume it, then move it", name)
	}
	return e, nil
}

func movingOf(e *catalog.Entry, to string) moving {
	s := e.Settings
	return moving{onTenant{e.ID, s.Text("cluster")}, to, "", s.Text("database"), s.Text("user")}
}

// mover returns what carries the contents.
func (f *Fleet) mover(p moving, job string) (*move.Move, error) {
	m := &move.Move{ID: p.ID, JobID: job, Database: p.Database, Role: p.User, Scratch: f.scratch()}
	var err error
	if m.From, err = f.adminLogin(p.Cluster); err != nil {
		return nil, err
	}
	m.To, err = f.adminLogin(p.To)
	return m, err
}

func (f *Fleet) scratch() string { return postgres.ScratchRoot(f.Scratch) }

// What a dump and restore may take: cautious guesses for two cores, which a plan tells as
// such.
const (
	dumpBase     = 400 * time.Millisecond
	dumpPerTable = 6 * time.Millisecond
	dumpRate     = 20 << 20 // bytes in a second
	dumpAtMost   = time.Second
	// cutOverTime is for how long clients are held when contents are replicated.
	cutOverTime = 500 * time.Millisecond
)

// choose decides how the tenant is moved.
func (m *Moving) choose(f *move.Facts, how string) error {
	dumped := dumpBase + time.Duration(f.Tables)*dumpPerTable + time.Duration(f.Size)*time.Second/dumpRate
	unable := strings.Join(f.Unreplicable, "; ")
	switch {
	case how == Dump:
		m.How, m.Why = Dump, "it was asked for"
	case how == Replicate && unable != "":
		return invalid("how", "its contents cannot be replicated: %s; or have it moved by dump, with its clients held for about %s", unable, shortly(dumped))
	case how == Replicate:
		m.How, m.Why = Replicate, "it was asked for"
	case how != Auto && how != "":
		return invalid("how", "%q is none of auto, replicate and dump", how)
	case dumped <= dumpAtMost:
		m.How, m.Why = Dump, "that takes under a second"
	case unable != "":
		return invalid("how", "its contents cannot be replicated: %s; and to hold its clients for about %s, as a move by dump would, must be asked for: say dump", unable, shortly(dumped))
	default:
		m.How, m.Why = Replicate, fmt.Sprintf("a move by dump would hold its clients for about %s", shortly(dumped))
	}
	m.HeldFor = dumped.Seconds()
	if m.How == Replicate {
		m.HeldFor = cutOverTime.Seconds()
	}
	return nil
}

func shortly(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

// says are the steps of a dry run.
func (p *moving) says() []string {
	target := fmt.Sprintf("make an empty database and role %q on cluster %q", p.User, p.To)
	publish := fmt.Sprintf("rename it %q, and give it to role %q and nobody else", p.Database, p.User)
	registry := fmt.Sprintf("have the registry say that it is on cluster %q, and open it; its clients go on there", p.To)
	keep := fmt.Sprintf("keep database %q on cluster %q, closed, until it is purged", p.Database, p.Cluster)
	if p.How == Dump {
		return []string{
			target, "put the source's database away, which closes it (its clients are held from here on)",
			"dump and restore it", publish, registry, keep,
		}
	}
	return []string{
		target, "have the source tell of changes: a publication, and an identity for tables without a key",
		"copy definitions", "copy all rows, and follow their changes until few are missing",
		"close the source, apply the last changes, carry sequences and large objects (its clients are held from here on)",
		publish, registry, keep + ", and leave no publication, slot or subscription",
	}
}

// move moves a tenant. What has been done before, by a node that has died, is found out
// by looking.
func (f *Fleet) move(ctx context.Context, r *jobs.Run) error {
	x, err := f.moveOf(r)
	if err != nil {
		return err
	}
	entered, err := x.entered(ctx)
	if err != nil {
		return err
	}
	if !entered {
		entered, err = x.readyToEnter(ctx)
	}
	switch {
	case err != nil:
		err = x.workOn(ctx, err)
	case entered:
		err = x.goOnHeld(ctx)
	case x.How == Dump:
		err = x.dumped(ctx)
	default:
		err = x.replicated(ctx)
	}
	if err != nil {
		return moveRefusal(needsSpace(x.To, err))
	}
	return x.leave(ctx)
}

// moveRefusal makes an error that time does not mend one that ends the operation.
func moveRefusal(err error) error {
	if errors.Is(err, move.ErrRefused) || errors.Is(err, move.ErrDefinitions) || errors.Is(err, dump.ErrContents) || isFull(err) {
		return jobs.Refuse(err)
	}
	return refusal(err)
}

// aMove is a move that is being run.
type aMove struct {
	*moving
	carrying
	contents *move.Move
	facts    move.Facts
	tables   int    // that are replicated; each counts as a step
	password string // of the role, while it fills its database
}

func (f *Fleet) moveOf(r *jobs.Run) (*aMove, error) {
	x := &aMove{moving: &moving{}, carrying: carrying{f: f, run: r, total: moveSteps}, password: rand.Text()}
	if err := r.Decode(x.moving); err != nil {
		return nil, err
	}
	var err error
	x.contents, err = f.mover(*x.moving, r.ID)
	return x, err
}

// moveSteps is about how many steps a move has.
const moveSteps = 16

// entered reports whether the registry says that the tenant is at the target: then there
// is no way back. Until then nobody is let in there, and the source has all. It waits for
// a change of which nobody knows yet whether it was made.
func (x *aMove) entered(ctx context.Context) (entered bool, err error) {
	err = x.run.Change(ctx, func(tx *catalog.Tx) error {
		e, err := tx.Entry(catalog.Tenant, x.run.Tenant)
		entered = err == nil && e.ID == x.ID && e.Settings.Text("cluster") == x.To
		return err
	})
	return entered, err
}

// readyToEnter reports whether a move that was broken off can be ended though the registry
// does not say yet that the tenant is at the target: it has arrived there, and nobody can
// have written to the source since.
func (x *aMove) readyToEnter(ctx context.Context) (bool, error) {
	if x.run.Operation.Step == "" {
		return false, nil
	}
	arrived, open, err := x.f.marked(ctx, x.To, "howdah:"+x.ID+" arrived")
	if !arrived || open || err != nil {
		return false, err
	}
	_, open, err = x.f.marked(ctx, x.Cluster, "howdah:"+x.ID)
	return !open && err == nil, err
}

// receive looks at both clusters, and has the target have a database to be filled.
func (x *aMove) receive(ctx context.Context) (err error) {
	err = x.step(ctx, "check", func(ctx context.Context) (err error) {
		x.facts, err = x.contents.Look(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return x.letIn(ctx)
}

// arrive makes the database at the target the tenant's, and has the registry say so. The
// tenant is held, until it is let in there.
func (x *aMove) arrive(ctx context.Context) error {
	if x.How == Replicate {
		name := provision.NewName(x.run.ID)
		err := x.step(ctx, "tidy the target", func(ctx context.Context) error { return x.contents.TidyTarget(ctx, name) })
		if err != nil {
			return err
		}
	}
	op := provision.Arrive{
		ID: x.ID, JobID: x.run.ID, Database: x.Database, Role: x.User, Verifier: x.facts.Verifier,
		Settings: x.facts.Settings, ConnectionLimit: x.facts.ConnectionLimit, Attributes: &x.facts.Attributes, Closed: true,
	}
	if err := x.change(ctx, x.To, op, provision.Plan); err != nil {
		return err
	}
	return x.step(ctx, "change the registry", x.enter)
}

// enter has the registry say where the tenant is.
func (x *aMove) enter(ctx context.Context) error {
	err := x.run.Change(ctx, func(tx *catalog.Tx) error {
		e, err := tx.Entry(catalog.Tenant, x.run.Tenant)
		switch {
		case err != nil:
			return err
		case e.ID != x.ID: // it cannot be: the operation keeps others out
			return fmt.Errorf("tenant %q is another one: %w", x.run.Tenant, catalog.ErrNotFound)
		case e.Settings.Text("cluster") == x.To:
			return nil
		}
		s := maps.Clone(e.Settings)
		s["cluster"] = x.To
		return tx.Update(catalog.Tenant, x.run.Tenant, e.Revision, s)
	})
	if err == nil {
		x.f.settle(ctx, func(s *tenants.Snapshot) bool { t, ok := s.Tenant(x.run.Tenant); return !ok || t.Cluster == x.To })
	}
	return err
}

// admit lets the tenant's clients in at the target.
func (x *aMove) admit(ctx context.Context) error {
	if err := x.change(ctx, x.To, provision.Admit{ID: x.ID, Database: x.Database}, provision.Plan); err != nil {
		return err
	}
	return x.run.Change(ctx, func(tx *catalog.Tx) error { return tx.EndHold(x.run.ID) })
}

// goOnHeld ends a move that was broken off when the tenant had arrived.
func (x *aMove) goOnHeld(ctx context.Context) error {
	release, err := x.f.hold(ctx, x.run.ID, []string{x.run.Tenant})
	if err != nil {
		return err
	}
	defer release()
	if err := x.step(ctx, "change the registry", x.enter); err != nil {
		return err
	}
	return x.admit(ctx)
}

// leave puts away the source's database, without a trace of the move in it, and ends the
// operation.
func (x *aMove) leave(ctx context.Context) error {
	if err := x.change(ctx, x.Cluster, provision.Drop{ID: x.ID, JobID: x.run.ID}, provision.Plan); err != nil {
		return err
	}
	reach := provision.Reach{ID: x.ID, JobID: x.run.ID, Open: true}
	if x.How == Replicate {
		if err := x.change(ctx, x.Cluster, reach, provision.Plan); err != nil {
			return err
		}
		held := provision.HeldName(x.run.ID)
		err := x.step(ctx, "tidy the source", func(ctx context.Context) error { return x.contents.TidySource(ctx, held) })
		if err != nil {
			return err
		}
	}
	reach.Open = false
	if err := x.change(ctx, x.Cluster, reach, provision.Plan); err != nil {
		return err
	}
	oid, err := x.f.heldOID(ctx, x.Cluster, x.run.ID)
	if err != nil {
		return err
	}
	result := map[string]string{"from": x.Cluster, "to": x.To, "how": x.How}
	return x.run.Finish(ctx, result, func(tx *catalog.Tx) error { return x.keep(tx, oid) })
}

// keep has the source's database be one that was dropped: it can be brought back, if the
// tenant is dropped at the target, until it is purged.
func (x *aMove) keep(tx *catalog.Tx, oid uint32) error {
	e, err := tx.Entry(catalog.Tenant, x.run.Tenant)
	if err != nil {
		return err
	}
	u, err := tx.Entry(catalog.User, x.User)
	if err != nil {
		return err
	}
	s := maps.Clone(e.Settings)
	s["cluster"] = x.Cluster
	return tx.AddDropped(&catalog.Dropped{
		Operation: x.run.ID, ID: x.ID, Name: x.run.Tenant, Settings: s, User: u.Settings, UserID: u.ID, OID: oid,
		Purge: time.Now().Add(KeepFor),
	})
}

// moveBack leaves a tenant where it was. One of which the registry says that it is at the
// target stays there.
func (f *Fleet) moveBack(ctx context.Context, r *jobs.Run) error {
	x, err := f.moveOf(r)
	if err != nil {
		return err
	}
	entered, err := x.entered(ctx)
	if err != nil {
		return err
	}
	if entered {
		if err := x.goOnHeld(ctx); err != nil {
			return err
		}
		return x.leave(ctx)
	}
	return x.retract(ctx)
}

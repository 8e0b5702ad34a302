package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin/jobs"
	"howdah/provision"
	"howdah/provision/dump"
	"howdah/provision/odoo"
	"howdah/wire"
)

// aClone is a clone that is being made.
type aClone struct {
	*cloning
	carrying
	facts    *cloneFacts
	password string // of the role, while it fills its database or settles in
	held     time.Duration
	report   *odoo.Report
}

// Steps of a clone, about. Copying contents counts as many, so that progress tells of it.
const (
	cloneSteps = 10
	dumpSteps  = 40 // of a dump, and of a restore
)

func (f *Fleet) cloneOf(r *jobs.Run) (*aClone, error) {
	x := &aClone{cloning: &cloning{}, carrying: carrying{f: f, run: r, total: cloneSteps}, password: rand.Text()}
	if err := r.Decode(x.cloning); err != nil {
		return nil, err
	}
	if x.How == Dump {
		x.total += 2 * dumpSteps
	}
	return x, nil
}

// clone makes the copy, settles it, and has the registry know it.
func (f *Fleet) clone(ctx context.Context, r *jobs.Run) error {
	x, err := f.cloneOf(r)
	if err != nil {
		return err
	}
	there, err := x.f.lives(ctx, x.Cluster, x.ID)
	if err == nil && !there {
		err = x.make(ctx)
	}
	if err != nil {
		return cloneRefusal(needsSpace(x.Cluster, err))
	}
	err = x.step(ctx, "enter into the registry", func(ctx context.Context) error {
		return f.register(ctx, r, x.ID, r.Tenant, x.Settings, x.UserSettings, "")
	})
	if err != nil {
		return err
	}
	return r.Finish(ctx, x.outcome(), nil)
}

// cloneRefusal makes an error that time does not mend one that ends the operation.
func cloneRefusal(err error) error {
	var invalid *InvalidError
	if errors.Is(err, dump.ErrContents) || errors.Is(err, odoo.ErrFailed) || errors.As(err, &invalid) || isFull(err) {
		return jobs.Refuse(err)
	}
	return refusal(err)
}

// outcome is what the job says at its end.
func (x *aClone) outcome() map[string]any {
	result := map[string]any{
		"source": x.Source.Name, "from": x.Source.Cluster, "cluster": x.Cluster, "database": x.Settings.Text("database"), "user": x.User,
		"how": x.How, "neutralise": x.Neutralise,
	}
	switch {
	case x.How == Template && x.held > 0:
		result["held_seconds"], result["model_seconds"] = x.held.Seconds(), x.Model
	case x.BrokenOff > 0:
		result["held_seconds"], result["model_seconds"] = x.BrokenOff, x.Model
		result["why_how"] = fmt.Sprintf("a copy by template was broken off: it held the source's clients for %.1f s, longer than was guessed", x.BrokenOff)
	}
	if x.report != nil {
		result["done"] = x.report
	}
	return result
}

// make makes the database, and opens it when it has settled.
func (x *aClone) make(ctx context.Context) error {
	fill := x.copied
	if x.How == Dump {
		fill = x.dumped
	}
	if err := fill(ctx); err != nil {
		return err
	}
	if err := x.step(ctx, "settle in", x.settle); err != nil {
		return err
	}
	settings, err := x.settings(ctx)
	if err != nil {
		return err
	}
	return x.change(ctx, x.Cluster, provision.Arrive{
		ID: x.ID, JobID: x.run.ID, Database: x.Settings.Text("database"), Role: x.User, Verifier: x.ServerVerifier, Cloned: x.How == Template,
		Settings: settings, ConnectionLimit: x.facts.ConnectionLimit,
	}, provision.Plan)
}

// settings are what the source's sessions have, but for those that Howdah has given its
// role: the clone's gets its own.
func (x *aClone) settings(ctx context.Context) ([]provision.Setting, error) {
	known, err := x.f.Catalog.Roles(ctx)
	if err != nil {
		return nil, err
	}
	given := known[x.Source.ID].Given
	return slices.DeleteFunc(slices.Clone(x.facts.Settings), func(s provision.Setting) bool {
		return s.Scope == provision.OfRoleInDatabase && slices.Contains(given[s.Name], s.Value)
	}), nil
}

func (x *aClone) look(ctx context.Context) (err error) {
	x.facts, err = x.f.lookToClone(ctx, x.cloning)
	return err
}

// temporary is what the role's password is behind until the clone is its own.
func (x *aClone) temporary() string { return wire.MakeVerifier(x.password, 0, nil).String() }

func (x *aClone) copying(verifier string) provision.Clone {
	return provision.Clone{
		Source: x.Source.ID, ID: x.ID, JobID: x.run.ID, Database: x.Settings.Text("database"), Role: x.User, Verifier: verifier,
	}
}

// copied copies the source's database while its clients are held.
func (x *aClone) copied(ctx context.Context) error {
	c := &changing{
		run: x.run, cluster: x.Cluster, op: x.copying(x.temporary()), holds: []string{x.Source.Name}, letGo: true,
		done: x.done, after: max(x.total-x.done, 1),
	}
	if x.Bounded {
		c.bounded = "copy"
	}
	release, err := x.f.change(ctx, c, provision.Plan)
	defer release()
	x.done = c.done
	if errors.Is(err, errHeldTooLong) {
		begun := time.Now()
		if err := x.workOn(ctx, nil); err != nil {
			return err
		}
		x.f.letGo(ctx, x.run, release)
		return x.dumpInstead(ctx, c.lasted+time.Since(begun))
	}
	if err != nil {
		return x.workOn(ctx, err)
	}
	if x.run.Attempts == 1 { // else it was held before, too
		x.held = c.lasted
	}
	return x.step(ctx, "look at the source", x.look)
}

// workOn takes the copy back after an error, which it returns: clients that are held go on
// in an open source.
func (x *aClone) workOn(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workOnWithin)
	defer cancel()
	return errors.Join(err, x.retract(ctx))
}

// dumpInstead goes on by a dump, for which nobody is held, after a copy that held clients
// for so long and was taken back.
func (x *aClone) dumpInstead(ctx context.Context, held time.Duration) error {
	x.f.Log.Info("a copy by template takes too long: the clone goes on by a dump", "tenant", x.run.Tenant, "source", x.Source.Name, "held", held)
	if err := x.look(ctx); err != nil {
		return err
	}
	if x.facts.Undumpable != "" {
		return jobs.Refuse(fmt.Errorf("a copy by template would hold the clients of tenant %q for longer than %s, and it cannot be dumped and restored: %s: say template, and they are held for as long as it takes",
			x.Source.Name, shortly(heldAtMost), x.facts.Undumpable))
	}
	x.How, x.BrokenOff, x.total = Dump, held.Seconds(), x.total+2*dumpSteps
	err := x.step(ctx, "go on by dump", func(ctx context.Context) error { return x.run.Amend(ctx, x.cloning) })
	if err != nil {
		return err
	}
	return x.dumped(ctx)
}

// retract leaves nothing of a clone that is not there yet.
func (x *aClone) retract(ctx context.Context) error {
	if x.How == Template {
		return x.change(ctx, x.Cluster, x.copying(x.ServerVerifier), provision.Undo)
	}
	return x.change(ctx, x.Cluster, x.receiving(x.ServerVerifier), provision.Undo)
}

func (x *aClone) receiving(verifier string) provision.Receive {
	r := provision.Receive{
		ID: x.ID, JobID: x.run.ID, Database: x.Settings.Text("database"), Role: x.User, Verifier: verifier, Sessions: dump.Connections(0),
	}
	if x.facts != nil {
		r.Locale, r.Extensions = x.facts.Locale, x.facts.Extensions
	}
	return r
}

// dumped fills an empty database from a dump of the source, whose clients work on.
func (x *aClone) dumped(ctx context.Context) error {
	if x.run.Operation.Step != "" {
		if err := x.retract(ctx); err != nil { // what is half full
			return err
		}
	}
	if err := x.step(ctx, "look at the source", x.look); err != nil {
		return err
	}
	from, err := x.f.adminLogin(x.Source.Cluster)
	if err != nil {
		return err
	}
	into, err := x.f.adminLogin(x.Cluster)
	if err != nil {
		return err
	}
	tools, err := x.f.tools(ctx, x.Cluster)
	if err != nil {
		return err
	}
	scratch, err := dump.MakeScratch(x.f.scratch(), x.facts.DumpSize)
	if err != nil {
		return err
	}
	defer func() {
		if err := scratch.Remove(); err != nil {
			x.f.Log.Warn("cannot remove a dump", "tenant", x.run.Tenant, "error", err)
		}
	}()
	err = x.long(ctx, "dump", func(ctx context.Context, progress func(int64)) error {
		_, err := dump.Dump(ctx, dump.Out{Tools: tools, From: from.In(x.Source.Database), Progress: progress}, scratch)
		return err
	})
	if err != nil {
		return err
	}
	if err := x.change(ctx, x.Cluster, x.receiving(x.temporary()), provision.Plan); err != nil {
		return err
	}
	return x.long(ctx, "restore", func(ctx context.Context, progress func(int64)) error {
		role := into.In(provision.NewName(x.run.ID)).As(x.User, x.password)
		return dump.Restore(ctx, dump.In{Tools: tools, Into: role, Progress: progress}, scratch)
	})
}

// long is a step that tells how many bytes it has done.
func (x *aClone) long(ctx context.Context, name string, do func(context.Context, func(int64)) error) error {
	err := x.step(ctx, name, func(ctx context.Context) error {
		return do(ctx, func(bytes int64) {
			part := int(dumpSteps * min(bytes, x.facts.DumpSize) / max(x.facts.DumpSize, 1))
			if err := x.run.Progress(ctx, x.done+part, x.total); err != nil && ctx.Err() == nil {
				x.f.Log.Warn("cannot tell of progress", "tenant", x.run.Tenant, "error", err)
			}
		})
	})
	x.done += dumpSteps - 1
	return err
}

// settle neutralises the copy before anybody can see it.
func (x *aClone) settle(ctx context.Context) (err error) {
	x.report, err = x.f.settleAs(ctx, x.Cluster, x.run.ID, x.User, x.password, odoo.Copy{UUID: x.ID, Neutralise: x.Neutralise})
	return err
}

// settleAs settles a database that a job is making, as the role whose it is to be.
func (f *Fleet) settleAs(ctx context.Context, cluster, job, role, password string, c odoo.Copy) (*odoo.Report, error) {
	into, err := f.adminLogin(cluster)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, into.In(provision.NewName(job)).As(role, password).String())
	if err != nil {
		return nil, fmt.Errorf("log in to the copy as role %q: %w", role, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if f.OdooAddons != nil {
		c.Addons = f.OdooAddons()
	}
	return odoo.Settle(ctx, conn, c)
}

// unclone leaves nothing of a clone that is not to be. One that is there may have been
// used: it is dropped, and can be brought back.
func (f *Fleet) unclone(ctx context.Context, r *jobs.Run) error {
	x, err := f.cloneOf(r)
	if err != nil {
		return err
	}
	err = f.putAway(ctx, r, &x.creation)
	if !errors.Is(err, provision.ErrNotFound) {
		return err
	}
	return x.retract(ctx)
}

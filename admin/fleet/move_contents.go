package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/provision"
	"howdah/provision/dump"
	"howdah/provision/move"
	"howdah/wire"
)

// replicated has the target follow the source while clients work, and holds them for the
// end of it. It goes on with what follows already.
func (x *aMove) replicated(ctx context.Context) error {
	if err := x.reopen(ctx); err != nil {
		return err
	}
	following, err := x.contents.Subscribed(ctx)
	if err != nil {
		return err
	}
	if following {
		err = x.followOn(ctx)
	} else {
		err = x.follow(ctx)
	}
	if err != nil {
		return err
	}
	if err := x.step(ctx, "copy rows", x.copyRows); err != nil {
		return err
	}
	x.done += x.tables
	err = x.step(ctx, "make ready", func(ctx context.Context) error { return x.contents.Ready(ctx, x.password) })
	if err != nil {
		return err
	}
	return x.cutOver(ctx)
}

// followOn has a target follow again that was left.
func (x *aMove) followOn(ctx context.Context) error {
	if err := x.receive(ctx); err != nil {
		return err
	}
	return x.step(ctx, "follow", x.contents.GoOn)
}

// follow has the target follow from the start.
func (x *aMove) follow(ctx context.Context) error {
	if x.run.Operation.Step != "" {
		if err := x.retract(ctx); err != nil { // what is half made
			return err
		}
	}
	if err := x.receive(ctx); err != nil {
		return err
	}
	if why := x.facts.Unreplicable; len(why) > 0 {
		return fmt.Errorf("%w: %v", move.ErrRefused, why)
	}
	for _, s := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"announce changes", x.contents.Announce},
		{"copy definitions", func(ctx context.Context) error { return x.contents.Define(ctx, x.password) }},
		{"follow", x.contents.Subscribe},
	} {
		if err := x.step(ctx, s.name, s.do); err != nil {
			return err
		}
	}
	return nil
}

const (
	copyPause   = 200 * time.Millisecond // between two looks at how far the target is
	lookAtWords = 5 * time.Second        // between two at whether definitions have changed
	near        = 1 << 20                // bytes of WAL that may be missing when clients are held
	goneFor     = 2 * time.Minute        // the target may be without its connection to the source
)

// copyRows waits until the target has nearly all.
func (x *aMove) copyRows(ctx context.Context) error {
	before, connected := x.tables, time.Now()
	for looked := time.Now(); ; {
		p, err := x.contents.Progress(ctx)
		if err != nil {
			return err
		}
		x.tables = p.Tables
		x.total += p.Tables - before
		before = p.Tables
		if err := x.run.Progress(ctx, x.done+p.Copied, x.total); err != nil {
			return err
		}
		if p.Copied == p.Tables && p.Lag >= 0 && p.Lag < near {
			return nil
		}
		if p.Lag >= 0 {
			connected = time.Now()
		} else if time.Since(connected) > goneFor {
			return fmt.Errorf("the target has not been connected to the source for %v: its server's log says why", goneFor)
		}
		if time.Since(looked) > lookAtWords {
			if err := x.contents.Unchanged(ctx); err != nil {
				return err
			}
			looked = time.Now()
		}
		select {
		case <-time.After(copyPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// cutOver holds the tenant's clients, until they go on at the target.
func (x *aMove) cutOver(ctx context.Context) error {
	c, err := x.contents.CutOver(ctx)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	release, err := x.f.hold(ctx, x.run.ID, []string{x.run.Tenant})
	if err != nil {
		return err
	}
	defer release()
	err = x.step(ctx, "close the source", func(ctx context.Context) (err error) {
		if err = c.Run(ctx); err == nil {
			x.facts, err = c.Facts(ctx)
		}
		return err
	})
	if err != nil {
		return x.workOn(ctx, err)
	}
	return x.arriveOr(ctx)
}

// arriveOr lets clients work on at the source unless the registry says, or may say, that
// the tenant is at the target.
func (x *aMove) arriveOr(ctx context.Context) error {
	if err := x.arrive(ctx); err != nil {
		if entered, look := x.entered(context.WithoutCancel(ctx)); entered || look != nil {
			return errors.Join(err, look)
		}
		return x.workOn(ctx, err)
	}
	return x.admit(ctx)
}

// workOnWithin is how long it may take to open the source again.
const workOnWithin = 10 * time.Second

// workOn opens the source again after an error, which it returns.
func (x *aMove) workOn(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workOnWithin)
	defer cancel()
	return errors.Join(err, x.reopen(ctx))
}

// reopen has the source's database be the tenant's, and open, as it was.
func (x *aMove) reopen(ctx context.Context) error {
	oid, err := x.f.heldOID(ctx, x.Cluster, x.run.ID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return x.change(ctx, x.Cluster, provision.Drop{ID: x.ID, JobID: x.run.ID}, provision.Undo)
	case err != nil:
		return err
	}
	return x.change(ctx, x.Cluster, provision.Undrop{ID: x.ID, OID: oid, Database: x.Database, Role: x.User}, provision.Plan)
}

// dumped copies the contents while clients are held.
func (x *aMove) dumped(ctx context.Context) error {
	if x.run.Operation.Step != "" {
		if err := x.retract(ctx); err != nil { // what is half full
			return err
		}
	}
	if err := x.receive(ctx); err != nil {
		return err
	}
	scratch, err := dump.MakeScratch(x.f.scratch(), x.facts.Size)
	if err != nil {
		return err
	}
	defer func() {
		if err := scratch.Remove(); err != nil {
			x.f.Log.Warn("cannot remove a dump", "tenant", x.run.Tenant, "error", err)
		}
	}()
	release, err := x.f.hold(ctx, x.run.ID, []string{x.run.Tenant})
	if err != nil {
		return err
	}
	defer release()
	if err := x.copyHeld(ctx, scratch); err != nil {
		return x.workOn(ctx, err)
	}
	return x.arriveOr(ctx)
}

// copyHeld puts the source away, and dumps and restores it.
func (x *aMove) copyHeld(ctx context.Context, scratch *dump.Scratch) error {
	if err := x.change(ctx, x.Cluster, provision.Drop{ID: x.ID, JobID: x.run.ID}, provision.Plan); err != nil {
		return err
	}
	reach := provision.Reach{ID: x.ID, JobID: x.run.ID, Open: true}
	if err := x.change(ctx, x.Cluster, reach, provision.Plan); err != nil {
		return err
	}
	m := x.contents
	err := x.step(ctx, "dump", func(ctx context.Context) error {
		_, err := dump.Dump(ctx, dump.Out{Tools: m.Tools, From: m.From.In(provision.HeldName(x.run.ID))}, scratch)
		return err
	})
	if err != nil {
		return err
	}
	reach.Open = false
	if err := x.change(ctx, x.Cluster, reach, provision.Plan); err != nil {
		return err
	}
	return x.step(ctx, "restore", func(ctx context.Context) error {
		into := m.To.In(provision.NewName(x.run.ID)).As(x.User, x.password)
		return dump.Restore(ctx, dump.In{Tools: m.Tools, Into: into, Privileges: true}, scratch)
	})
}

// retract leaves nothing of a move that has not come to its end.
func (x *aMove) retract(ctx context.Context) error {
	if err := x.reopen(ctx); err != nil {
		return err
	}
	verifier, err := x.contents.Verifier(ctx)
	if err != nil {
		return err
	}
	if x.How == Replicate {
		err := x.step(ctx, "retract at the target", func(ctx context.Context) error {
			return x.contents.TidyTarget(ctx, provision.NewName(x.run.ID))
		})
		if err != nil {
			return err
		}
	}
	op := x.receiving()
	op.Verifier = verifier
	if err := x.change(ctx, x.To, op, provision.Undo); err != nil {
		return err
	}
	// A role that is needed still has the password that it had.
	err = x.change(ctx, x.To, provision.Rotate{ID: x.ID, Role: x.User, Verifier: verifier}, provision.Plan)
	if err != nil && !errors.Is(err, provision.ErrNotFound) && !errors.Is(err, provision.ErrConflict) {
		return err
	}
	if x.How == Replicate {
		return x.step(ctx, "retract at the source", func(ctx context.Context) error { return x.contents.TidySource(ctx, x.Database) })
	}
	return nil
}

// letIn makes the empty database at the target, which the role may fill, or gives the
// role of the one there is a password that is known here.
func (x *aMove) letIn(ctx context.Context) (err error) {
	if x.contents.Tools, err = x.f.tools(ctx, x.To); err != nil {
		return err
	}
	op := x.receiving()
	op.Verifier = wire.MakeVerifier(x.password, 0, nil).String()
	return x.change(ctx, x.To, op, provision.Plan)
}

func (x *aMove) receiving() provision.Receive {
	return provision.Receive{
		ID: x.ID, JobID: x.run.ID, Database: x.Database, Role: x.User, Locale: x.facts.Locale,
		Extensions: x.facts.Extensions, Sessions: dump.Connections(0),
	}
}

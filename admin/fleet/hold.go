package fleet

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"howdah/tenants/catalog"
)

const (
	// drainFor is Config's DrainFor where that is not given.
	drainFor = 30 * time.Second
	// holdLasts is for how long clients are held of whom nobody says any more that they
	// are. While an operation runs it says so again and again.
	holdLasts = 20 * time.Second
	sayAgain  = holdLasts / 4
	// listenFor is for how long clients wait for sessions that listen, on whatever node.
	listenFor = time.Second
)

// hold has all nodes hold the clients of tenants, and waits until nothing of theirs is in
// the database any more, but no longer than running transactions may take. The change
// that is the operation's outcome ends it; the release is for when it does not come to
// that.
func (f *Fleet) hold(ctx context.Context, operation string, tenants []string) (release func(), err error) {
	h, release, err := f.beginHold(ctx, operation, tenants)
	if err != nil {
		return nil, err
	}
	if err := f.awaitHeld(ctx, h); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// beginHold has all nodes hold the clients of tenants, until release or ctx's end.
func (f *Fleet) beginHold(ctx context.Context, operation string, tenants []string) (h *catalog.Hold, release func(), err error) {
	h, err = f.Catalog.Hold(ctx, operation, tenants, holdLasts)
	if err != nil {
		return nil, nil, err
	}
	saying, stop := context.WithCancel(ctx)
	said := make(chan struct{})
	go func() {
		defer close(said)
		f.keepHolding(saying, h)
	}()
	release = sync.OnceFunc(func() {
		stop()
		<-said
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), sayAgain)
		defer cancel()
		if err := f.Catalog.ReleaseHold(last, h); err != nil {
			f.Log.Warn("clients are held until it ends by itself", "tenants", tenants, "after", holdLasts, "error", err)
		}
	})
	return h, release, nil
}

// keepHolding makes a hold last, until ctx ends or the hold has been released.
func (f *Fleet) keepHolding(ctx context.Context, h *catalog.Hold) {
	for {
		select {
		case <-time.After(sayAgain):
		case <-ctx.Done():
			return
		}
		asking, cancel := context.WithTimeout(ctx, sayAgain)
		err := f.Catalog.KeepHold(asking, h)
		cancel()
		if errors.Is(err, catalog.ErrChanged) {
			return
		}
		if err != nil && ctx.Err() == nil {
			f.Log.Warn("cannot make a hold last", "tenants", h.Tenants, "error", err)
		}
	}
}

// awaitHeld waits for the nodes that live.
func (f *Fleet) awaitHeld(ctx context.Context, h *catalog.Hold) error {
	pause := time.Millisecond
	for end := time.Now().Add(cmp.Or(f.DrainFor, drainFor)); ; {
		unheld, err := f.Catalog.Unheld(ctx, h)
		switch {
		case err != nil:
			return err
		case len(unheld) == 0:
			return nil
		case time.Now().After(end):
			f.Log.Warn("transactions do not end: they are cut off", "tenants", h.Tenants, "nodes", unheld)
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(2*pause, 20*time.Millisecond)
	}
}

// Holder holds this node's clients of tenants that operations hold, on whatever node
// those run.
type Holder struct {
	Catalog *catalog.Catalog
	Pooler  Pooler
	Node    string
	Log     *slog.Logger

	holding map[string]*holding // by operation; of Use's caller alone
}

// holding is one hold on this node.
type holding struct {
	catalog.Hold
	stop  context.CancelFunc
	ended chan struct{}
	told  chan struct{} // closed when the catalog knows that all is quiet here
}

// Use has those held who are held now, and lets go the others.
func (h *Holder) Use(ctx context.Context, now []catalog.Hold) {
	before := h.holding
	h.holding = map[string]*holding{}
	for _, hold := range now {
		old := before[hold.Operation]
		delete(before, hold.Operation)
		h.holding[hold.Operation] = h.begin(ctx, hold, old)
	}
	for _, old := range before {
		old.end()
		for _, tenant := range old.Tenants {
			h.Pooler.Release(tenant, old.Operation)
		}
	}
}

// begin holds tenants, or makes what was begun before last longer.
func (h *Holder) begin(ctx context.Context, hold catalog.Hold, old *holding) *holding {
	if old != nil && old.Epoch == hold.Epoch && hold.Ending { // it is on its way
		return old
	}
	x := &holding{Hold: hold, ended: make(chan struct{}), told: make(chan struct{})}
	if old != nil {
		old.end()
		if old.Epoch == hold.Epoch {
			x.told = old.told
		}
	}
	ctx, x.stop = context.WithCancel(ctx)
	go func() {
		defer close(x.ended)
		if x.Ending {
			h.goOn(ctx, x)
		} else {
			h.drain(ctx, x)
		}
	}()
	return x
}

// end waits until nothing is held any more that is not yet.
func (x *holding) end() {
	x.stop()
	<-x.ended
}

// drain holds the tenants, and tells the catalog when nothing of ours is in the database
// any more.
func (h *Holder) drain(ctx context.Context, x *holding) {
	var all sync.WaitGroup
	failed := make([]error, len(x.Tenants))
	for i, tenant := range x.Tenants {
		all.Go(func() { failed[i] = h.Pooler.Hold(ctx, tenant, x.Operation, x.Lasts) })
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return // it is over, or will be made to last longer
		}
	}
	h.tell(ctx, x)
}

// tell has the catalog know that a hold is as it should be here.
func (h *Holder) tell(ctx context.Context, x *holding) {
	select {
	case <-x.told:
		return
	default:
	}
	if err := h.Catalog.Held(ctx, &x.Hold, h.Node); err == nil {
		close(x.told)
	} else if ctx.Err() == nil {
		h.Log.Warn("cannot say that clients are held", "tenants", x.Tenants, "error", err)
	}
}

// goOn lets clients go on when sessions that listen do so again, on all nodes: who goes on
// may notify them.
func (h *Holder) goOn(ctx context.Context, x *holding) {
	waiting, cancel := context.WithTimeout(ctx, listenFor)
	defer cancel()
	var all sync.WaitGroup
	for _, tenant := range x.Tenants {
		all.Go(func() { _ = h.Pooler.Listen(waiting, tenant, x.Operation) }) // else they are tried again for their own sake
	}
	all.Wait()
	h.tell(ctx, x)
	for pause := time.Millisecond; waiting.Err() == nil; pause = min(2*pause, 20*time.Millisecond) {
		if others, err := h.Catalog.Unheld(waiting, &x.Hold); err != nil || len(others) == 0 {
			break
		}
		select {
		case <-time.After(pause):
		case <-waiting.Done():
		}
	}
	for _, tenant := range x.Tenants {
		h.Pooler.Release(tenant, x.Operation)
	}
}

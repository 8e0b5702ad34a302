package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"howdah/backup/export"
	"howdah/tenants/catalog"
)

// HoldExport has an export never be deleted, until ReleaseExport.
func (f *Fleet) HoldExport(ctx context.Context, by catalog.Actor, id, reason string) error {
	place, err := f.exportToHold(ctx, id)
	if err != nil {
		return err
	}
	if err := f.noteOfExport(ctx, by, "hold", id, catalog.Settings{"reason": reason}); err != nil {
		return err
	}
	return holdProblem(place.PutHold(ctx, export.Hold{ID: id, Reason: reason, By: by.Name, Since: time.Now()}))
}

// ReleaseExport ends a hold.
func (f *Fleet) ReleaseExport(ctx context.Context, by catalog.Actor, id string) error {
	place, err := f.exportToHold(ctx, id)
	if err != nil {
		return err
	}
	holds, err := place.Holds(ctx)
	if holds == nil {
		return holdProblem(err)
	}
	if holds[id] == nil {
		return fmt.Errorf("a hold of export %q: %w", id, catalog.ErrNotFound)
	}
	if err := f.noteOfExport(ctx, by, "release", id, nil); err != nil {
		return err
	}
	return holdProblem(place.Release(ctx, id))
}

// exportToHold returns where an export is kept.
func (f *Fleet) exportToHold(ctx context.Context, id string) (*export.Place, error) {
	if err := export.CheckID(id); err != nil {
		return nil, &InvalidError{Reason: err}
	}
	place, _, err := f.exportAt(ctx, id)
	if invalid := (*InvalidError)(nil); errors.As(err, &invalid) {
		return nil, err
	}
	return place, holdProblem(err)
}

// noteOfExport notes what is about to be done to an export. What cannot be noted is not done.
func (f *Fleet) noteOfExport(ctx context.Context, by catalog.Actor, action, id string, details catalog.Settings) error {
	return f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error { return tx.Audit(action, "export", id, details) })
}

package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"howdah/backup/base"
	"howdah/backup/export"
	"howdah/backup/keep"
	"howdah/backup/repository"
	"howdah/backup/restore"
	"howdah/backup/store"
	"howdah/tenants/catalog"
)

// HoldBackup has a base backup of a cluster never be deleted, until it is released. until, if
// not "", is up to which moment the WAL is held that a restore from it needs. What is held
// already stays held.
func (f *Fleet) HoldBackup(ctx context.Context, by catalog.Actor, cluster, id, reason, until string) error {
	repo, err := f.repository(cluster)
	if err != nil {
		return err
	}
	m, err := base.Read(ctx, repo, id)
	if err != nil {
		return holdProblem(err)
	}
	h := base.Hold{ID: id, Reason: reason, By: by.Name, Since: time.Now()}
	if err := HoldUntil(ctx, repo, m, &h, until); err != nil {
		return asUntil(err)
	}
	if err := f.noteOfBackup(ctx, by, "hold", id, catalog.Settings{"cluster": cluster, "reason": reason, "until": until}); err != nil {
		return err
	}
	return holdProblem(base.PutHold(ctx, repo, h))
}

// ReleaseBackup ends a hold.
func (f *Fleet) ReleaseBackup(ctx context.Context, by catalog.Actor, cluster, id string) error {
	repo, err := f.repository(cluster)
	if err != nil {
		return err
	}
	holds, err := base.Holds(ctx, repo)
	if holds == nil {
		return holdProblem(err)
	}
	if holds[id] == nil {
		return fmt.Errorf("a hold of base backup %.60q: %w", id, catalog.ErrNotFound)
	}
	if err := f.noteOfBackup(ctx, by, "release", id, catalog.Settings{"cluster": cluster}); err != nil {
		return err
	}
	return holdProblem(base.Release(ctx, repo, id))
}

// noteOfBackup notes what is about to be done to a base backup. What cannot be noted is not
// done.
func (f *Fleet) noteOfBackup(ctx context.Context, by catalog.Actor, action, id string, details catalog.Settings) error {
	return f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error { return tx.Audit(action, "backup", id, details) })
}

// HoldUntil says in a hold of a base backup up to where WAL is held: "" is to its stop. It is
// an *InvalidError if until says no moment, and keep.ErrBeyond if that is out of reach.
func HoldUntil(ctx context.Context, r *repository.Repository, m *base.Manifest, h *base.Hold, until string) error {
	if until == "" {
		return nil
	}
	target, err := restore.ParseTarget(until)
	switch {
	case err != nil:
		return &InvalidError{Field: "until", Reason: err}
	case target.XID != 0 || target.Name != "":
		return invalid("until", "it takes latest, a time, or lsn:16/B374D848")
	case target.Time.IsZero() && target.LSN == 0:
		h.Latest = true
		return nil
	}
	h.Until, err = keep.Reach(ctx, r, m, target.Time, target.LSN)
	return err
}

// asUntil tells what is wrong with until from what is wrong with the store.
func asUntil(err error) error {
	if errors.Is(err, keep.ErrBeyond) {
		return &InvalidError{Field: "until", Reason: err}
	}
	if invalid := (*InvalidError)(nil); errors.As(err, &invalid) {
		return err
	}
	return &StoreError{err}
}

// holdProblem says of what went wrong with a hold whose fault it is.
func holdProblem(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: %w", catalog.ErrNotFound, err)
	case errors.Is(err, base.ErrID), errors.Is(err, base.ErrNewer), errors.Is(err, export.ErrNewer), errors.Is(err, store.ErrDamaged):
		return &InvalidError{Reason: err}
	}
	return &StoreError{err}
}

package base

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// Hold says that a base backup is not to be deleted, whatever else is said of it, nor the
// WAL from its start to its stop, or further.
type Hold struct {
	Format int       `json:"format"`
	ID     string    `json:"id"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	Since  time.Time `json:"since"`
	// Until is up to where WAL is held behind the stop; nil is up to the stop only.
	Until *Position `json:"until,omitempty"`
	// Latest is that all WAL behind the start is held, and all that comes.
	Latest bool `json:"latest,omitempty"`
}

// ErrHeld is of a base backup that is held.
var ErrHeld = errors.New("it is held")

const (
	holdFormat = 1
	holdMost   = 64 << 10 // more than a hold has bytes
)

func holdKey(r *repository.Repository, id string) string { return r.Key("base", "holds", id) }

// PutHold holds a base backup that is there. An earlier hold of it is only ever widened:
// to lessen it takes a Release.
func PutHold(ctx context.Context, r *repository.Repository, h Hold) error {
	if _, err := Read(ctx, r, h.ID); err != nil {
		return err
	}
	earlier, err := readHold(ctx, r, h.ID)
	switch {
	case err == nil:
		h = earlier.widened(h)
	case errors.Is(err, store.ErrDamaged):
		h.Latest, h.Until = true, nil // which it has meant
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	h.Format, h.Since = holdFormat, h.Since.UTC().Truncate(time.Second)
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if len(text) >= holdMost {
		return fmt.Errorf("hold base backup %q: the reason is too long", h.ID)
	}
	if err := r.Store.Put(ctx, holdKey(r, h.ID), text, store.WithSum(text)); err != nil {
		return fmt.Errorf("hold base backup %q: %w", h.ID, err)
	}
	// Whoever was about to delete it may not have seen the hold.
	if _, err := Read(ctx, r, h.ID); err != nil {
		return fmt.Errorf("hold base backup %q: it was deleted meanwhile: %w", h.ID, err)
	}
	return nil
}

// widened is a hold for its own reason, that also holds what another does.
func (h *Hold) widened(by Hold) Hold {
	all := *h
	if all.Reason == "" {
		all.Reason = by.Reason
	}
	all.Latest = h.Latest || by.Latest
	switch {
	case all.Latest:
		all.Until = nil
	case h.Until == nil:
		all.Until = by.Until
	case by.Until == nil:
	case h.Until.Timeline != by.Until.Timeline: // neither is known to be behind the other
		all.Until, all.Latest = nil, true
	case by.Until.LSN > h.Until.LSN:
		all.Until = by.Until
	}
	return all
}

// Release ends a hold. One that is not there is no error.
func Release(ctx context.Context, r *repository.Repository, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if err := r.Store.Delete(ctx, holdKey(r, id)); err != nil {
		return fmt.Errorf("release base backup %q: %w", id, err)
	}
	return nil
}

// Holds returns the holds by the base backups' ids. Of one that cannot be read, of which
// the error tells, there is one that holds all.
func Holds(ctx context.Context, r *repository.Repository) (map[string]*Hold, error) {
	holds := map[string]*Hold{}
	var bad []error
	for info, err := range r.Store.List(ctx, holdKey(r, "")) {
		if err != nil {
			return nil, fmt.Errorf("list holds of base backups: %w", err)
		}
		id := strings.TrimPrefix(info.Key, holdKey(r, ""))
		h, err := readHold(ctx, r, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue // released since
		case errors.Is(err, store.ErrDamaged), errors.Is(err, ErrNewer), errors.Is(err, ErrID):
			bad = append(bad, err)
			h = &Hold{ID: id, Since: info.Time, Reason: err.Error(), Latest: true}
		case err != nil:
			return nil, err
		}
		holds[id] = h
	}
	return holds, errors.Join(bad...)
}

func readHold(ctx context.Context, r *repository.Repository, id string) (*Hold, error) {
	if err := checkID(id); err != nil {
		return nil, fmt.Errorf("a hold: %w", err)
	}
	h := &Hold{}
	err := readSummed(ctx, r, holdKey(r, id), holdMost, h)
	switch {
	case err == nil && h.ID != id:
		err = store.ErrDamaged
	case err == nil && h.Format > holdFormat:
		err = ErrNewer
	}
	if err != nil {
		return nil, fmt.Errorf("read the hold of base backup %q: %w", id, err)
	}
	return h, nil
}

// held is ErrHeld if there is a hold, whatever it says.
func held(ctx context.Context, r *repository.Repository, id string) error {
	_, err := r.Store.Stat(ctx, holdKey(r, id))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err == nil, errors.Is(err, store.ErrDamaged):
		return ErrHeld
	}
	return fmt.Errorf("look whether it is held: %w", err)
}

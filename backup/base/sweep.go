package base

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// forgetWithin bounds how long is spent on leaving nothing after an error, for which the
// context may be at its end.
const forgetWithin = 10 * time.Second

// forget deletes what was stored of a base backup that will never be one. What that leaves,
// Sweep finds.
func forget(ctx context.Context, r *repository.Repository, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetWithin)
	defer cancel()
	return deleteData(ctx, r, id)
}

// mark has everybody know that a base backup is being taken, before there is any object of
// it: what it needs must not expire.
func mark(ctx context.Context, r *repository.Repository, m *Manifest) error {
	text, err := json.Marshal(map[string]any{"format": format, "id": m.ID, "started": m.Started, "start": m.Start})
	if err != nil {
		return err
	}
	if err := r.Store.Put(ctx, markKey(r, m.ID), text, store.WithSum(text)); err != nil {
		return fmt.Errorf("say in the store that it is being taken: %w", err)
	}
	return nil
}

// deleteData deletes all of a base backup but its manifest.
func deleteData(ctx context.Context, r *repository.Repository, id string) error {
	for _, prefix := range []string{indexPrefix(r, id) + "/", dataPrefix(r, id) + "/"} {
		for info, err := range r.Store.List(ctx, prefix) {
			if err == nil {
				err = r.Store.Delete(ctx, info.Key)
			}
			if err != nil {
				return fmt.Errorf("delete the data of base backup %q: %w", id, err)
			}
		}
	}
	if err := r.Store.Delete(ctx, markKey(r, id)); err != nil {
		return fmt.Errorf("delete the data of base backup %q: %w", id, err)
	}
	return nil
}

// ErrNeeded is of a base backup without which another one is nothing.
var ErrNeeded = errors.New("it is needed")

// Delete deletes a base backup: from the start on it is there no more. One that is not
// there is no error; one since which there is another is ErrNeeded, and one that is held is
// ErrHeld.
func Delete(ctx context.Context, r *repository.Repository, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	all, err := List(ctx, r)
	if err := Serious(err); err != nil {
		return err
	}
	for i := range all {
		if all[i].Since == id {
			return fmt.Errorf("delete base backup %q: %w: base backup %q has only what has changed since", id, ErrNeeded, all[i].ID)
		}
	}
	if err := held(ctx, r, id); err != nil {
		return fmt.Errorf("delete base backup %q: %w", id, err)
	}
	if err := deleteManifest(ctx, r, id); err != nil {
		return fmt.Errorf("delete base backup %q: %w", id, err)
	}
	return deleteData(ctx, r, id)
}

// deleteManifest deletes a manifest, and puts it back if the base backup has come to be held
// meanwhile: PutHold saw it still there.
func deleteManifest(ctx context.Context, r *repository.Repository, id string) error {
	text, meta, err := readAsItIs(ctx, r, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	err = r.Store.Delete(ctx, manifestKey(r, id))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetWithin)
	defer cancel()
	isHeld := held(ctx, r, id)
	if isHeld == nil {
		return err
	}
	back := r.Store.PutIfAbsent(ctx, manifestKey(r, id), text, meta)
	if errors.Is(back, store.ErrExists) { // it was not deleted
		back = nil
	}
	return errors.Join(isHeld, err, back)
}

// readAsItIs reads a manifest, whatever it says.
func readAsItIs(ctx context.Context, r *repository.Repository, id string) (text []byte, meta map[string]string, err error) {
	body, info, err := r.Store.Get(ctx, manifestKey(r, id), 0, -1)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	text, err = io.ReadAll(body)
	return text, info.Meta, err
}

// leftAfter is for how long objects without a manifest are taken for somebody's who is at
// it: one takes less than that, and a commit waits no longer.
const leftAfter = 24 * time.Hour

// Sweep deletes what crashes have left for long: objects that belong to no base backup,
// unless underway says that it is being taken, and the marks of those that were given up.
func Sweep(ctx context.Context, r *repository.Repository, underway func(id string) bool) error {
	if err := sweep(ctx, r, underway, time.Now().Add(-leftAfter)); err != nil {
		return fmt.Errorf("sweep base backups of cluster %q: %w", r.Cluster, err)
	}
	return nil
}

func sweep(ctx context.Context, r *repository.Repository, underway func(id string) bool, before time.Time) error {
	newest, err := newestObjects(ctx, r)
	if err != nil {
		return err
	}
	for id, at := range newest {
		if at.After(before) || checkID(id) != nil || underway(id) {
			continue
		}
		if err := abandon(ctx, r, id); err != nil {
			return err
		}
	}
	for info, err := range r.Store.List(ctx, manifestKey(r, "")) {
		if err != nil {
			return err
		}
		id := strings.TrimPrefix(info.Key, manifestKey(r, ""))
		if _, left := newest[id]; left || info.Time.After(before) {
			continue // next time
		}
		if m, err := read(ctx, r, id); err == nil && m.Abandoned {
			if err := r.Store.Delete(ctx, info.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// Unfinished is what the store has of a base backup that has no manifest: it is being
// taken, or a crash has left it, or half of its deletion is done.
type Unfinished struct {
	ID     string
	Newest time.Time // when the last object of it was stored, by the store's clock
}

// Running says whether it has to be taken for one that is being taken.
func (u *Unfinished) Running(now time.Time) bool { return now.Sub(u.Newest) < leftAfter }

// ListUnfinished lists what Sweep deletes when it is old enough. odd are ids that nobody of
// us has given, which are left alone.
func ListUnfinished(ctx context.Context, r *repository.Repository) (all []Unfinished, odd []string, err error) {
	newest, err := newestObjects(ctx, r)
	if err != nil {
		return nil, nil, fmt.Errorf("list unfinished base backups: %w", err)
	}
	// Later than the objects: one that is committed between has a manifest.
	for info, err := range r.Store.List(ctx, manifestKey(r, "")) {
		if err != nil {
			return nil, nil, fmt.Errorf("list unfinished base backups: %w", err)
		}
		delete(newest, strings.TrimPrefix(info.Key, manifestKey(r, "")))
	}
	for _, id := range slices.Sorted(maps.Keys(newest)) {
		if checkID(id) != nil {
			odd = append(odd, id)
			continue
		}
		all = append(all, Unfinished{ID: id, Newest: newest[id]})
	}
	return all, odd, nil
}

// newestObjects tells of each base backup that has objects when the newest was stored.
func newestObjects(ctx context.Context, r *repository.Repository) (map[string]time.Time, error) {
	newest := map[string]time.Time{}
	for _, prefix := range []string{dataPrefix(r, ""), indexPrefix(r, ""), markKey(r, "")} {
		for info, err := range r.Store.List(ctx, prefix) {
			if err != nil {
				return nil, err
			}
			id, _, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "/")
			if at := newest[id]; info.Time.After(at) {
				newest[id] = info.Time
			}
		}
	}
	return newest, nil
}

// abandon deletes the objects of what is no base backup, having made sure that it will
// never be one: whoever is still at it cannot commit it any more.
func abandon(ctx context.Context, r *repository.Repository, id string) error {
	mark := Manifest{Format: format, ID: id, Cluster: r.Cluster, Abandoned: true}
	text, meta, err := mark.encode()
	if err != nil {
		return err
	}
	err = r.Store.PutIfAbsent(ctx, manifestKey(r, id), text, meta)
	if errors.Is(err, store.ErrExists) {
		m, err := read(ctx, r, id)
		switch {
		case err != nil: // nobody knows: List tells of it
			return nil //nolint:nilerr
		case !m.Abandoned:
			return r.Store.Delete(ctx, markKey(r, id))
		}
		return deleteData(ctx, r, id)
	}
	if err != nil {
		return err
	}
	return deleteData(ctx, r, id)
}

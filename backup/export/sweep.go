package export

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"howdah/backup/store"
)

// Remove deletes an export. One that is not there is no error; one that is held is ErrHeld.
func (p *Place) Remove(ctx context.Context, id string) error {
	if err := CheckID(id); err != nil {
		return err
	}
	if _, err := p.Manifest(ctx, id); errors.Is(err, store.ErrNotFound) {
		return nil
	} // a damaged one is deleted too
	if err := p.endManifest(ctx, id); err != nil {
		return fmt.Errorf("remove export %q: %w", id, err)
	}
	return p.deleteData(ctx, id+"/")
}

// Abandon leaves nothing of an export that is not there yet, and has nobody end it who
// may still be at it. It is store.ErrExists for one that is there.
func (p *Place) Abandon(ctx context.Context, id string) error {
	if err := CheckID(id); err != nil {
		return err
	}
	text, meta, err := abandoned(id)
	if err != nil {
		return err
	}
	err = p.Store.PutIfAbsent(ctx, manifests+id, text, meta)
	if errors.Is(err, store.ErrExists) {
		if m, look := p.manifest(ctx, id); look != nil || !m.Abandoned {
			return errors.Join(fmt.Errorf("abandon export %q: %w", id, err), look)
		}
	} else if err != nil {
		return fmt.Errorf("abandon export %q: %w", id, err)
	}
	return p.deleteData(ctx, id+"/")
}

// abandoned is the manifest of what is no export.
func abandoned(id string) ([]byte, map[string]string, error) {
	m := Manifest{Format: format, ID: id, Tenant: TenantOf(id), Taken: time.Now().UTC(), Abandoned: true}
	return m.encode()
}

// deleteData deletes the parts below a prefix of exports/data/.
func (p *Place) deleteData(ctx context.Context, below string) error {
	for info, err := range p.Store.List(ctx, data+below) {
		if err == nil {
			err = p.Store.Delete(ctx, info.Key)
		}
		if err != nil {
			return fmt.Errorf("delete the parts of an export: %w", err)
		}
	}
	return nil
}

// deleteOthers deletes what other attempts at the same export have left.
func (p *Place) deleteOthers(ctx context.Context, m *Manifest) error {
	for info, err := range p.Store.List(ctx, data+m.ID+"/") {
		if err == nil && !strings.HasPrefix(info.Key, data+m.ID+"/"+m.Attempt+"/") {
			err = p.Store.Delete(ctx, info.Key)
		}
		if err != nil {
			return fmt.Errorf("delete what is left of an earlier attempt: %w", err)
		}
	}
	return nil
}

// leftAfter is for how long parts without a manifest are taken for somebody's who is at
// it: a part takes less than that.
const leftAfter = 24 * time.Hour

// Sweep deletes what crashes have left for long: parts that belong to no export, unless
// underway says that their export is being made, and the marks of exports that were
// abandoned.
func (p *Place) Sweep(ctx context.Context, underway func(id string) bool) error {
	return p.sweep(ctx, underway, time.Now().Add(-leftAfter))
}

func (p *Place) sweep(ctx context.Context, underway func(id string) bool, before time.Time) error {
	newest := map[string]time.Time{} // of the parts of an export
	for info, err := range p.Store.List(ctx, data) {
		if err != nil {
			return fmt.Errorf("sweep exports: %w", err)
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(info.Key, data), "/")
		if at := newest[id]; info.Time.After(at) {
			newest[id] = info.Time
		}
	}
	for id, at := range newest {
		if at.After(before) || CheckID(id) != nil || underway(id) {
			continue
		}
		if err := p.clear(ctx, id); err != nil {
			return fmt.Errorf("sweep exports: %w", err)
		}
	}
	for info, err := range p.Store.List(ctx, manifests) {
		if err != nil {
			return fmt.Errorf("sweep exports: %w", err)
		}
		id := strings.TrimPrefix(info.Key, manifests)
		if _, left := newest[id]; left || info.Time.After(before) {
			continue // next time
		}
		if m, err := p.manifest(ctx, id); err == nil && m.Abandoned {
			if err := p.Store.Delete(ctx, info.Key); err != nil {
				return fmt.Errorf("sweep exports: %w", err)
			}
		}
	}
	return nil
}

// clear deletes of an export's parts what the manifest does not name.
func (p *Place) clear(ctx context.Context, id string) error {
	m, err := p.manifest(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return p.Abandon(ctx, id)
	case err != nil: // nobody knows what it names
		return nil //nolint:nilerr // List tells of it
	case m.Abandoned:
		return p.deleteData(ctx, id+"/")
	}
	return p.deleteOthers(ctx, m)
}

package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"howdah/backup/store"
)

// Hold says that an export is not to be deleted, whatever else is said of it. That there is
// one is enough: what it says is for people to read.
type Hold struct {
	Format int       `json:"format"`
	ID     string    `json:"id"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	Since  time.Time `json:"since"`
}

// ErrHeld is of an export that is held.
var ErrHeld = errors.New("it is held")

const (
	holds     = "exports/holds/"
	holdMost  = 64 << 10 // more than a hold has bytes
	endWithin = time.Minute
)

// PutHold holds an export that is there, in place of an earlier hold of it.
func (p *Place) PutHold(ctx context.Context, h Hold) error {
	if _, err := p.Manifest(ctx, h.ID); err != nil {
		return err
	}
	h.Format, h.Since = format, h.Since.UTC().Truncate(time.Second)
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if len(text) >= holdMost {
		return fmt.Errorf("hold export %q: the reason is too long", h.ID)
	}
	if err := p.Store.Put(ctx, holds+h.ID, text, store.WithSum(text)); err != nil {
		return fmt.Errorf("hold export %q: %w", h.ID, err)
	}
	// Whoever was about to remove it may not have seen the hold.
	if _, err := p.Manifest(ctx, h.ID); err != nil {
		return fmt.Errorf("hold export %q: it was removed meanwhile: %w", h.ID, err)
	}
	return nil
}

// Release ends a hold. One that is not there is no error.
func (p *Place) Release(ctx context.Context, id string) error {
	if err := CheckID(id); err != nil {
		return err
	}
	if err := p.Store.Delete(ctx, holds+id); err != nil {
		return fmt.Errorf("release export %q: %w", id, err)
	}
	return nil
}

// Holds returns the holds by the exports' ids. Those that cannot be read, of which the error
// tells, hold too.
func (p *Place) Holds(ctx context.Context) (map[string]*Hold, error) {
	all := map[string]*Hold{}
	var bad []error
	for info, err := range p.Store.List(ctx, holds) {
		if err != nil {
			return nil, fmt.Errorf("list holds of exports: %w", err)
		}
		id := strings.TrimPrefix(info.Key, holds)
		h, err := p.readHold(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue // released since
		case errors.Is(err, store.ErrDamaged), errors.Is(err, ErrNewer):
			bad = append(bad, err)
			h = &Hold{ID: id, Since: info.Time, Reason: err.Error()}
		case err != nil:
			return nil, err
		}
		all[id] = h
	}
	return all, errors.Join(bad...)
}

func (p *Place) readHold(ctx context.Context, id string) (*Hold, error) {
	h := &Hold{}
	text, err := store.ReadPlain(ctx, p.Store, holds+id, holdMost)
	if err == nil && (json.Unmarshal(text, h) != nil || h.ID != id) {
		err = store.ErrDamaged
	}
	if err != nil {
		return nil, fmt.Errorf("read the hold of export %q: %w", id, err)
	}
	if h.Format > format {
		return nil, fmt.Errorf("the hold of export %q: %w", id, ErrNewer)
	}
	return h, nil
}

// held is ErrHeld if there is a hold, whatever it says.
func (p *Place) held(ctx context.Context, id string) error {
	_, err := p.Store.Stat(ctx, holds+id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err == nil, errors.Is(err, store.ErrDamaged):
		return ErrHeld
	}
	return fmt.Errorf("look whether it is held: %w", err)
}

// endManifest has an export be none any more, and be one again if it has come to be held
// meanwhile: PutHold saw it still there.
func (p *Place) endManifest(ctx context.Context, id string) error {
	if err := p.held(ctx, id); err != nil {
		return err
	}
	before, beforeMeta, err := p.asItIs(ctx, id)
	damaged := errors.Is(err, store.ErrDamaged) // which nobody can hold
	if err != nil && !damaged {
		return err
	}
	text, meta, err := abandoned(id)
	if err != nil {
		return err
	}
	err = p.Store.Put(ctx, manifests+id, text, meta)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	isHeld := p.held(ctx, id)
	if isHeld == nil || damaged {
		return err
	}
	return errors.Join(isHeld, err, p.Store.Put(ctx, manifests+id, before, beforeMeta))
}

// asItIs reads a manifest, whatever it says.
func (p *Place) asItIs(ctx context.Context, id string) (text []byte, meta map[string]string, err error) {
	body, info, err := p.Store.Get(ctx, manifests+id, 0, -1)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	if text, err = io.ReadAll(body); err != nil {
		return nil, nil, err
	}
	return text, map[string]string{store.SumMeta: info.Meta[store.SumMeta]}, nil
}

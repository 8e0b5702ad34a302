package wal

import (
	"context"
	"errors"
	"fmt"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// Verify reads an object again, and checks that it is as it was stored and what its name
// says: store.ErrDamaged says that it is not. With a key it opens it, and also looks whether
// it says of itself that it belongs there.
func Verify(ctx context.Context, r *repository.Repository, identity *repository.Identity, o *Object, withKey bool) error {
	switch {
	case o.Size < 0:
		return fmt.Errorf("%w: object %q", store.ErrDamaged, o.Key)
	case o.History:
		_, err := readHistory(ctx, r, o.Timeline)
		return err
	}
	info, err := r.Store.Stat(ctx, o.Key)
	if err != nil {
		return err
	}
	if _, err := parseSamples(info.Meta[samplesMeta]); err != nil {
		return fmt.Errorf("%w: object %q: %w", store.ErrDamaged, o.Key, err)
	}
	size := identity.Segment
	span, key := o.Part, partKey(o.Timeline, o.Start, size, o.Part)
	if span.To == 0 {
		span, key = Span{0, size}, segmentKey(o.Timeline, o.Start, size)
	}
	if !withKey {
		sums, err := store.Verify(ctx, r.Store, o.Key)
		if err == nil && sums.PlainSize != int64(span.To-span.From) {
			err = fmt.Errorf("%w: object %q has %d bytes, and its name says %d", store.ErrDamaged, o.Key, sums.PlainSize, span.To-span.From)
		}
		return err
	}
	length := span.To - span.From
	read := &spool{size: int64(length)}
	defer read.close()
	err = readPart(ctx, r, key, Span{0, length}, read)
	if errors.Is(err, store.ErrNoIdentity) { // it looks so too where it is damaged in the wrong place
		if _, damage := store.Verify(ctx, r.Store, o.Key); errors.Is(damage, store.ErrDamaged) {
			return damage
		}
	}
	if err == nil && span.From == 0 {
		err = (&Contents{Identity: identity}).checkHeader(read, o.Timeline, o.Start)
	}
	if err != nil {
		return fmt.Errorf("object %q: %w", o.Key, err)
	}
	return nil
}

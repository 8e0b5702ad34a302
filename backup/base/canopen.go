package base

import (
	"context"
	"errors"
	"fmt"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// CanOpen is an error if a base backup cannot be opened here: store.ErrNoIdentity says that
// the private key is missing. Nothing large is read.
func CanOpen(ctx context.Context, r *repository.Repository, m *Manifest) error {
	key := filesKey(r, m.ID)
	list, _, err := r.Sealer.Open(ctx, r.Store, key)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("%w: object %q is missing", store.ErrDamaged, key)
	}
	if err != nil {
		return fmt.Errorf("open base backup %s: %w", m.ID, err)
	}
	return list.Close()
}

package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// ErrNotExclusive means that a store has replaced an object that was to be left
// alone.
var ErrNotExclusive = errors.New("store: PutIfAbsent replaces objects")

// CheckPutIfAbsent tries whether a store keeps what PutIfAbsent promises, with an
// object that it removes again. Some S3 servers ignore If-None-Match, and then
// the error is ErrNotExclusive: commits need another guard.
func CheckPutIfAbsent(ctx context.Context, s Store) (err error) {
	key := "probe/" + rand.Text()
	if err := s.PutIfAbsent(ctx, key, []byte("first"), nil); err != nil {
		return fmt.Errorf("probe store: %w", err)
	}
	defer func() {
		if deleteErr := s.Delete(ctx, key); deleteErr != nil && err == nil {
			err = fmt.Errorf("probe store: %w", deleteErr)
		}
	}()
	switch err := s.PutIfAbsent(ctx, key, []byte("second"), nil); {
	case errors.Is(err, ErrExists):
		return nil
	case err != nil:
		return fmt.Errorf("probe store: %w", err)
	}
	return ErrNotExclusive
}

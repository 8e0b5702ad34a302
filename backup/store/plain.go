package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// SumMeta is the metadata that has the SHA-256 of an object that is not sealed: whoever has
// no key must be able to read it, and to see damage all the same.
const SumMeta = "sha-256"

// WithSum returns the metadata of an object that is not sealed, whose bytes these are.
func WithSum(text []byte) map[string]string {
	sum := sha256.Sum256(text)
	return map[string]string{SumMeta: hex.EncodeToString(sum[:])}
}

// ReadPlain reads an object that was stored WithSum: most bytes at the most, or with -1 all.
// ErrDamaged says that it is not as it was stored, or longer.
func ReadPlain(ctx context.Context, from Store, key string, most int64) ([]byte, error) {
	body, info, err := from.Get(ctx, key, 0, most)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read object %q: %w", key, err)
	}
	if info.Meta[SumMeta] != WithSum(text)[SumMeta] {
		return nil, fmt.Errorf("%w: %q is not what was stored", ErrDamaged, key)
	}
	return text, nil
}

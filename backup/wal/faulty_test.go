package wal

import (
	"context"
	"sync"

	"howdah/backup/store"
)

// gate is a store that can be shut: what is to be stored waits then, as it does for a
// network that has gone.
type gate struct {
	store.Store
	mu   sync.Mutex
	shut chan struct{} // nil: open
	puts int
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut = nil
}

func (g *gate) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	g.mu.Lock()
	shut := g.shut
	g.puts++
	g.mu.Unlock()
	if shut != nil {
		select {
		case <-shut:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return g.Store.PutIfAbsent(ctx, key, data, meta)
}

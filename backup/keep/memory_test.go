package keep_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"howdah/backup/store"
)

// memory is a store whose clock is the test's.
type memory struct {
	mu      sync.Mutex
	objects map[string]*object
	now     time.Time
}

type object struct {
	data []byte
	info store.Info
}

func (m *memory) Put(_ context.Context, key string, data []byte, meta map[string]string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = &object{bytes.Clone(data), store.Info{Key: key, Size: int64(len(data)), Time: m.now, Version: m.now.String(), Meta: maps.Clone(meta)}}
	return nil
}

func (m *memory) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	if _, err := m.Stat(ctx, key); err == nil {
		return store.ErrExists
	}
	return m.Put(ctx, key, data, meta)
}

func (m *memory) Create(context.Context, string, map[string]string) (store.Writer, error) {
	panic("nothing here writes streams")
}

func (m *memory) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, store.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.objects[key]
	if o == nil {
		return nil, store.Info{}, store.ErrNotFound
	}
	if offset < 0 {
		offset = max(0, o.info.Size+offset)
	}
	data := o.data[offset:]
	if length >= 0 {
		data = data[:min(length, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), o.info, nil
}

func (m *memory) Stat(_ context.Context, key string) (store.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o := m.objects[key]; o != nil {
		return o.info, nil
	}
	return store.Info{}, store.ErrNotFound
}

func (m *memory) List(_ context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for _, info := range m.sorted(prefix) {
			info.Meta = nil
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (m *memory) sorted(prefix string) (all []store.Info) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		if strings.HasPrefix(key, prefix) {
			all = append(all, m.objects[key].info)
		}
	}
	return all
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

// aged has objects be stored at a time.
func (m *memory) aged(prefix string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, o := range m.objects {
		if strings.HasPrefix(key, prefix) {
			o.info.Time = at
		}
	}
}

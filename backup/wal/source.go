package wal

import (
	"cmp"
	"context"
	"io"
	"sync"

	"howdah/backup/replication"
	"howdah/backup/repository"
)

const (
	aheadMost  = 4        // segments that are fetched before they are asked for
	aheadBytes = 32 << 20 // memory for them, but for one
)

// Source gives files as Contents.Fetch does, and fetches segments before they are asked
// for, several at once: recovery asks for one after the other, and waits for each.
type Source struct {
	ctx      context.Context
	repo     *repository.Repository
	contents *Contents
	ahead    int
	until    replication.LSN // of what begins there nothing is fetched ahead
	running  sync.WaitGroup

	mu      sync.Mutex
	fetched map[string]*fetched // by name
}

// fetched is a segment that is being fetched, or was.
type fetched struct {
	cancel context.CancelFunc
	done   chan struct{}
	data   *fetchedSegment // after done; nil if it is of no use
}

// NewSource returns one that fetches ahead until the context is done, and nothing that begins
// at until or behind; 0 is that there is no end.
func NewSource(ctx context.Context, r *repository.Repository, c *Contents, until replication.LSN) *Source {
	ahead := max(1, min(aheadMost, int(aheadBytes/c.Identity.Segment)))
	return &Source{ctx: ctx, repo: r, contents: c, ahead: ahead, until: cmp.Or(until, ^replication.LSN(0)), fetched: map[string]*fetched{}}
}

// Wait returns when nothing is being fetched any more, after the context is done.
func (s *Source) Wait() {
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.fetched {
		f.drop()
	}
	clear(s.fetched)
}

// Get writes a file, as Contents.Fetch does.
func (s *Source) Get(ctx context.Context, name string, into io.Writer) error {
	f := s.next(name)
	if f != nil {
		select {
		case <-f.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if f.data != nil {
			return f.data.give(into)
		}
	}
	// What was fetched ahead is of no use unless it was whole: more may be there now.
	return s.contents.Fetch(ctx, s.repo, name, into)
}

// next returns what was fetched ahead of a file, nil for nothing; and has those fetched
// that will be asked for after it.
func (s *Source) next(name string) *fetched {
	size := s.contents.Identity.Segment
	timeline, start, err := replication.ParseSegment(name, size)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fetched[name]
	delete(s.fetched, name)
	wanted := map[string]bool{}
	for i := 1; i <= s.ahead && s.ctx.Err() == nil; i++ {
		from := start + replication.LSN(i)*size
		if from >= s.until {
			break
		}
		name := replication.SegmentName(timeline, from, size)
		wanted[name] = true
		if s.fetched[name] == nil {
			s.fetched[name] = s.fetch(name)
		}
	}
	for name, f := range s.fetched {
		if !wanted[name] {
			f.drop()
			delete(s.fetched, name)
		}
	}
	return f
}

func (s *Source) fetch(name string) *fetched {
	ctx, cancel := context.WithCancel(s.ctx)
	f := &fetched{cancel: cancel, done: make(chan struct{})}
	s.running.Go(func() {
		defer cancel()
		defer close(f.done)
		data, err := s.contents.fetch(ctx, s.repo, name)
		switch {
		case err == nil && data.final:
			f.data = data
		case err == nil:
			data.close()
		}
	})
	return f
}

// drop lets go of what was fetched, or is being fetched, for nobody.
func (f *fetched) drop() {
	f.cancel()
	go func() {
		<-f.done
		if f.data != nil {
			f.data.close()
		}
	}()
}

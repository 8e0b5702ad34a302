package base

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"howdah/backup/repository"
	"howdah/backup/store"
)

const (
	bufferSize = 1 << 20 // what is compressed at once
	buffers    = 10      // what waits to be sealed is at most 10 MiB, of all objects together
	uploading  = 3       // objects with data that are on their way at a time
)

// uploads are objects on their way to the store. What they are given is copied, and
// sealed by goroutines of their own.
type uploads struct {
	ctx    context.Context
	cancel context.CancelCauseFunc // with the first error
	repo   *repository.Repository
	free   chan []byte
	slots  chan struct{} // of objects with data
	all    sync.WaitGroup
}

func newUploads(ctx context.Context, r *repository.Repository) *uploads {
	u := &uploads{repo: r, free: make(chan []byte, buffers), slots: make(chan struct{}, uploading)}
	u.ctx, u.cancel = context.WithCancelCause(ctx)
	for range buffers {
		u.free <- make([]byte, 0, bufferSize)
	}
	return u
}

// errAborted is why uploads end that nobody wants any more.
var errAborted = errors.New("aborted")

// abort leaves nothing of those that are not stored yet, and waits for that.
func (u *uploads) abort() {
	u.cancel(errAborted)
	u.all.Wait()
}

// upload is one object.
type upload struct {
	of     *uploads
	key    string
	filled []byte // nil, or one of the buffers
	size   int64
	bare   bool // its plaintext has sums of its own
	blocks chan []byte
	sums   *Sums // set when all has ended without an error
}

// begin begins an object whose sums are wanted there. ended, if not nil, is called when it
// has come to its end in any way.
func (u *uploads) begin(key string, sums *Sums, ended func()) *upload {
	return u.start(&upload{of: u, key: key, sums: sums, blocks: make(chan []byte)}, ended)
}

func (u *uploads) start(one *upload, ended func()) *upload {
	u.all.Go(func() {
		if ended != nil {
			defer ended()
		}
		if err := one.run(); err != nil {
			u.cancel(err)
		}
	})
	return one
}

// beginData is begin for an object of files, of which there may be many: it waits until
// there are few enough. Each file has a sum in the list of files, and in PostgreSQL's own.
func (u *uploads) beginData(key string, sums *Sums) (*upload, error) {
	select {
	case u.slots <- struct{}{}:
	case <-u.ctx.Done():
		return nil, context.Cause(u.ctx)
	}
	one := &upload{of: u, key: key, sums: sums, blocks: make(chan []byte), bare: true}
	return u.start(one, func() { <-u.slots }), nil
}

// write takes more of the object.
func (o *upload) write(p []byte) error {
	o.size += int64(len(p))
	for len(p) > 0 {
		if o.filled == nil {
			select {
			case o.filled = <-o.of.free:
			case <-o.of.ctx.Done():
				return context.Cause(o.of.ctx)
			}
		}
		n := min(len(p), cap(o.filled)-len(o.filled))
		o.filled, p = append(o.filled, p[:n]...), p[n:]
		if len(o.filled) == cap(o.filled) {
			if err := o.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *upload) flush() error {
	select {
	case o.blocks <- o.filled:
		o.filled = nil
		return nil
	case <-o.of.ctx.Done():
		return context.Cause(o.of.ctx)
	}
}

// end has the object be stored when all of it is sealed.
func (o *upload) end() error {
	if o.filled != nil {
		if err := o.flush(); err != nil {
			return err
		}
	}
	close(o.blocks)
	return nil
}

func (o *upload) run() error {
	ctx, u := o.of.ctx, o.of
	create := u.repo.Sealer.Create
	if o.bare {
		create = u.repo.Sealer.CreateBare
	}
	w, err := create(ctx, u.repo.Store, o.key, nil)
	if err != nil {
		return fmt.Errorf("store object %q: %w", o.key, err)
	}
	defer w.Abort()
	for {
		select {
		case block, more := <-o.blocks:
			if !more {
				return o.close(w)
			}
			if _, err := w.Write(block); err != nil {
				return err
			}
			u.free <- block[:0]
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (o *upload) close(w *store.SealedWriter) error {
	sums, err := w.Close()
	if err != nil {
		return err
	}
	info, err := o.of.repo.Store.Stat(o.of.ctx, o.key)
	if err != nil {
		return fmt.Errorf("look at object %q: %w", o.key, err)
	}
	*o.sums = Sums{Size: sums.PlainSize, Stored: info.Size, StoredSum: hex.EncodeToString(sums.Stored[:])}
	if !o.bare {
		o.sums.SHA256 = hex.EncodeToString(sums.Plain[:])
	}
	return nil
}

// wait waits until all are stored that were ended.
func (u *uploads) wait() error {
	u.all.Wait()
	return context.Cause(u.ctx)
}

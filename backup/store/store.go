package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// The ways in which a store says no. Any other error is trouble: it says nothing
// about what is stored. One that trying again cannot mend, such as missing
// rights, wraps fs.ErrPermission.
var (
	// ErrNotFound means that the store has answered, and has no such object.
	ErrNotFound = errors.New("store: no such object")
	// ErrExists is PutIfAbsent's refusal to replace.
	ErrExists = errors.New("store: object exists")
	// ErrInvalid means that the key, prefix, metadata or range can never be right.
	ErrInvalid = errors.New("store: invalid")
	// ErrDamaged means that what is stored is not what was stored.
	ErrDamaged = errors.New("store: object is damaged")
)

// Store keeps objects: bytes under a key, with a little metadata. Any number of
// goroutines and processes may use the same one.
//
// An object is whole or not there. It shows up, or replaces the one before it,
// in one step, with its metadata, once it is durable; whoever is reading the one
// before it goes on reading that, or gets an error. A failed or killed call that
// stores has stored either all of it or nothing that Get, Stat or List show.
//
// What keys and metadata may be is said at CheckKey and CheckMeta; everything
// else is refused with ErrInvalid. No key may be the folder of another (a beside
// a/b): where that would be the case, a store may refuse with ErrInvalid too.
//
// Every method returns soon after its context is done, with the context's error.
// The context given to Get and Create counts for all of the stream's life.
// Data and metadata are the caller's own again when a method returns.
type Store interface {
	// Put stores data under key, in place of what was there.
	Put(ctx context.Context, key string, data []byte, meta map[string]string) error

	// PutIfAbsent stores data under key unless there is an object, which it
	// leaves alone and reports as ErrExists. Of any number who try at once, one
	// succeeds. After ErrExists the object that is there is durable.
	PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error

	// Create begins an object whose length is not known yet. It takes the place
	// of what is under key when the Writer is closed, and not before.
	Create(ctx context.Context, key string, meta map[string]string) (Writer, error)

	// Get reads length bytes from offset on, or to the end if length is negative
	// or the end comes first. A negative offset counts from the end, and an
	// object that is shorter is read whole. An offset beyond the end is
	// ErrInvalid, and so is one at the end unless it is 0. The caller closes the
	// reader.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error)

	// Stat describes the object.
	Stat(ctx context.Context, key string) (Info, error)

	// List yields the objects whose keys begin with prefix, ordered by the bytes
	// of the key, without their Meta. The prefix need not end where a folder
	// does; empty means all. Objects that come or go meanwhile may be yielded or
	// not. An error is the last thing it yields.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Delete removes the object. One that is not there is no error.
	Delete(ctx context.Context, key string) error
}

// Writer takes an object's bytes, from one goroutine. After an error there is
// nothing left to do but to Abort.
type Writer interface {
	io.Writer

	// Close makes the object durable and visible. It fails, and nothing is
	// stored, if an earlier Write did or the Writer was closed or aborted before.
	Close() error

	// Abort forgets what was written, and leaves nothing. After Close it does
	// nothing, so that it can be deferred.
	Abort()
}

// Info describes an object.
type Info struct {
	Key  string
	Size int64     // in bytes; List says -1 for a damaged object that has none
	Time time.Time // when it was stored, by the store's clock
	// Version tells the object from others that were or will be under the key,
	// unless their bytes are the same. It means nothing else, and is not empty
	// unless Size is -1.
	Version string
	Meta    map[string]string // the caller's own copy; nil from List
}

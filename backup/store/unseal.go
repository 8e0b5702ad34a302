package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

const widest = 4 << 20 // window of zstd that is read, in bytes: objects were written so

// ReadSums says what a sealed object holds, by its own account. It reads 80 bytes
// and checks none of the others.
func ReadSums(ctx context.Context, from Store, key string) (Sums, error) {
	r, _, err := from.Get(ctx, key, -int64(trailerSize), -1)
	if err != nil {
		return Sums{}, err
	}
	defer r.Close()
	trailer, err := io.ReadAll(r)
	if err != nil {
		return Sums{}, fmt.Errorf("read sums of object %q: %w", key, err)
	}
	sums, err := sumsOf(trailer)
	if err != nil {
		return Sums{}, fmt.Errorf("read sums of object %q: %w", key, err)
	}
	return sums, nil
}

// Verify reads a sealed object and checks that it is as it was stored, for which
// it needs no key: ErrDamaged says that it is not.
func Verify(ctx context.Context, from Store, key string) (Sums, error) {
	r, _, err := from.Get(ctx, key, 0, -1)
	if err != nil {
		return Sums{}, err
	}
	defer r.Close()
	b := newBody(r)
	_, err = io.Copy(io.Discard, b)
	if err == nil {
		err = b.check()
	}
	if err != nil {
		return Sums{}, fmt.Errorf("verify object %q: %w", key, err)
	}
	return b.sums, nil
}

// Open reads the plaintext of a sealed object. Its reader says io.EOF only after
// it has checked all of it; before that, what it has given is right as far as it
// goes, but may not be all. It holds a few megabytes, whatever the length.
func (s *Sealer) Open(ctx context.Context, from Store, key string) (*SealedReader, Info, error) {
	return s.open(ctx, from, key, false)
}

// OpenBare is Open for what CreateBare has stored.
func (s *Sealer) OpenBare(ctx context.Context, from Store, key string) (*SealedReader, Info, error) {
	return s.open(ctx, from, key, true)
}

func (s *Sealer) open(ctx context.Context, from Store, key string, bare bool) (*SealedReader, Info, error) {
	if len(s.identities) == 0 {
		return nil, Info{}, fmt.Errorf("open object %q: %w: only a recipient's private key opens it: set identity_file", key, ErrNoIdentity)
	}
	src, info, err := from.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, Info{}, err
	}
	r := &SealedReader{src: src, key: key, body: newBody(src), bare: bare, plain: sha256.New()}
	if err := r.begin(s.identities); err != nil {
		src.Close()
		return nil, Info{}, fmt.Errorf("open object %q: %w", key, err)
	}
	return r, info, nil
}

// SealedReader reads the plaintext of a sealed object, on one goroutine. It goes from the
// store to body to age to zstd.
type SealedReader struct {
	src  io.Closer
	key  string
	body *body
	zstd *zstd.Decoder

	bare  bool // its plaintext has no sum here
	plain hash.Hash
	size  int64
	err   error // set once there is no more to read
}

func (r *SealedReader) begin(identities []age.Identity) error {
	decrypted, err := age.Decrypt(r.body, identities...)
	if err != nil {
		if none := (*age.NoIdentityMatchError)(nil); errors.As(err, &none) {
			return fmt.Errorf("%w: it is sealed for others than the %d in identity_file", ErrNoIdentity, len(identities))
		}
		return r.body.blame(err)
	}
	r.zstd, err = zstd.NewReader(decrypted, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(widest))
	return err
}

// Sums says what the object holds, once Read has said io.EOF.
func (r *SealedReader) Sums() Sums { return r.body.sums }

func (r *SealedReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.zstd.Read(p)
	if !r.bare {
		r.plain.Write(p[:n])
	}
	r.size += int64(n)
	switch {
	case err == io.EOF:
		r.err = r.check()
	case err != nil:
		r.err = r.body.blame(err)
	}
	if r.err != nil && r.err != io.EOF {
		r.err = fmt.Errorf("read object %q: %w", r.key, r.err)
	}
	return n, r.err
}

// check returns io.EOF if all is as it was sealed.
func (r *SealedReader) check() error {
	if n, err := r.body.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return r.body.blame(errors.New("more comes after its end"))
	}
	if err := r.body.check(); err != nil {
		return err
	}
	sums := r.body.sums
	if r.size != sums.PlainSize || !r.bare && !bytes.Equal(sums.Plain[:], r.plain.Sum(nil)) || r.bare != sums.bare() {
		return fmt.Errorf("%w: its plaintext is not what was sealed", ErrDamaged)
	}
	return io.EOF
}

// Close ends it, wherever it is.
func (r *SealedReader) Close() error {
	r.zstd.Close()
	return r.src.Close()
}

// body reads a sealed object without its trailer, which it keeps.
type body struct {
	src    *bufio.Reader
	stored hash.Hash
	sums   Sums  // known at the end
	err    error // io.EOF = the end
}

func newBody(src io.Reader) *body {
	return &body{src: bufio.NewReaderSize(src, 128<<10), stored: sha256.New()}
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	ahead, err := b.src.Peek(min(len(p), b.src.Size()-trailerSize) + trailerSize)
	if n := len(ahead) - trailerSize; n > 0 {
		copy(p, ahead[:n])
		b.stored.Write(ahead[:n])
		b.src.Discard(n)
		return n, nil
	}
	if err == io.EOF {
		b.err = b.end(bytes.Clone(ahead))
	} else {
		b.err = err
	}
	return 0, b.err
}

func (b *body) end(trailer []byte) (err error) {
	if b.sums, err = sumsOf(trailer); err != nil {
		return err
	}
	b.stored.Write(trailer[:sealedSums])
	return io.EOF
}

// check compares the bytes with their sum, once all have been read.
func (b *body) check() error {
	if !bytes.Equal(b.sums.Stored[:], b.stored.Sum(nil)) {
		return fmt.Errorf("%w: its bytes are not those that were stored", ErrDamaged)
	}
	return nil
}

// blame tells trouble with the store from a damaged object, for an error that age
// or zstd has met.
func (b *body) blame(err error) error {
	if b.err != nil && b.err != io.EOF {
		return b.err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

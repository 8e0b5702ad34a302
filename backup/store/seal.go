package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"
	"sync"

	"filippo.io/age"
)

// A sealed object is what age makes of what zstd makes of the plaintext, and then
// a trailer of 80 bytes: SHA-256 of the plaintext, its length (64 bits, the
// highest byte first), the eight letters of sealMark, and SHA-256 of all that
// comes before this sum. The sums are known at the end of a stream only, when
// stores take no metadata any more; here they come and go with the object, at the
// cost of no second object or request. An object whose plaintext has sums of its own has
// zeros in place of the first sum, and is marked as bare.

const (
	sealMark    = "howdah-1"
	bareMark    = "howdah-2"
	sealedSums  = sha256.Size + 8 + len(sealMark) // the trailer without its last sum
	trailerSize = sealedSums + sha256.Size
)

// ErrNoIdentity means that the private key is missing that opens the object.
var ErrNoIdentity = errors.New("store: no identity for it")

// Sums tell what is in a sealed object. The same plaintext sealed again has
// another Stored.
type Sums struct {
	Plain     [sha256.Size]byte // SHA-256 of the plaintext; all zero: nobody has made one
	PlainSize int64             // its bytes
	Stored    [sha256.Size]byte // SHA-256 of the object without its last 32 bytes, which are this
}

func (s Sums) trailer() []byte {
	b := binary.BigEndian.AppendUint64(bytes.Clone(s.Plain[:]), uint64(s.PlainSize))
	mark := sealMark
	if s.bare() {
		mark = bareMark
	}
	return append(append(b, mark...), s.Stored[:]...)
}

func (s Sums) bare() bool { return s.Plain == [sha256.Size]byte{} }

// sumsOf reads a trailer. It does not check what the sums are of.
func sumsOf(trailer []byte) (Sums, error) {
	none := fmt.Errorf("%w: it does not end as a sealed one does", ErrDamaged)
	if len(trailer) != trailerSize {
		return Sums{}, none
	}
	s := Sums{PlainSize: int64(binary.BigEndian.Uint64(trailer[sha256.Size:]))}
	copy(s.Plain[:], trailer)
	copy(s.Stored[:], trailer[sealedSums:])
	if !bytes.Equal(s.trailer(), trailer) {
		return Sums{}, none
	}
	return s, nil
}

// Sealer compresses and encrypts objects, and opens them again. It may be used
// by any number of goroutines.
type Sealer struct {
	recipients []age.Recipient
	identities []age.Identity
	sealed     sync.Pool // of *memory: objects that were stored, whose room the next ones take
	idle       sync.Pool // of *compressor: making one costs more than using it for a little WAL
}

// NewSealer returns a Sealer that seals for each of the recipients, X25519 public
// keys as age writes them (age1…), and opens with the private keys in the text of
// an identity file of age. Without recipients it only opens, with an empty text
// it only seals.
func NewSealer(recipients []string, identities string) (*Sealer, error) {
	s := &Sealer{}
	for _, text := range recipients {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, fmt.Errorf("parse recipient %q: %w", text, err)
		}
		s.recipients = append(s.recipients, r)
	}
	if identities != "" {
		var err error
		if s.identities, err = age.ParseIdentities(strings.NewReader(identities)); err != nil {
			return nil, fmt.Errorf("parse identities: %w", err)
		}
	}
	return s, nil
}

// NewIdentity makes a private key, the line of an identity file, and the
// recipient that belongs to it.
func NewIdentity() (identity, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("make identity: %w", err)
	}
	return id.String(), id.Recipient().String(), nil
}

// RecipientsOf returns the public keys that belong to the private keys in the text of an
// identity file.
func RecipientsOf(identities string) (recipients []string, err error) {
	all, err := age.ParseIdentities(strings.NewReader(identities))
	if err != nil {
		return nil, fmt.Errorf("parse identities: %w", err)
	}
	for _, id := range all {
		if x, ok := id.(*age.X25519Identity); ok {
			recipients = append(recipients, x.Recipient().String())
		}
	}
	return recipients, nil
}

// Put seals data and stores it under key, in place of what was there.
func (s *Sealer) Put(ctx context.Context, to Store, key string, data []byte, meta map[string]string) (Sums, error) {
	return s.put(key, data, func(sealed []byte) error { return to.Put(ctx, key, sealed, meta) })
}

// PutIfAbsent seals data and stores it under key unless there is an object:
// then the error is ErrExists, and ReadSums tells whether its plaintext is data.
// The sums are those of data in any case.
func (s *Sealer) PutIfAbsent(ctx context.Context, to Store, key string, data []byte, meta map[string]string) (Sums, error) {
	return s.put(key, data, func(sealed []byte) error { return to.PutIfAbsent(ctx, key, sealed, meta) })
}

func (s *Sealer) put(key string, data []byte, put func(sealed []byte) error) (Sums, error) {
	sealed, _ := s.sealed.Get().(*memory)
	if sealed == nil {
		sealed = &memory{}
	}
	sealed.Reset()
	w, err := s.seal(sealed, key)
	if err != nil {
		return Sums{}, err
	}
	if _, err := w.Write(data); err != nil {
		return Sums{}, err
	}
	sums, err := w.Close()
	if err != nil {
		return Sums{}, err
	}
	if err := put(sealed.Bytes()); err != nil {
		return sums, err // a request that was broken off may still be reading it
	}
	s.sealed.Put(sealed)
	return sums, nil
}

// memory is a Writer whose object stays in memory.
type memory struct{ bytes.Buffer }

func (*memory) Close() error { return nil }
func (*memory) Abort()       {}

// Create begins a sealed object. It is stored when the writer is closed.
func (s *Sealer) Create(ctx context.Context, to Store, key string, meta map[string]string) (*SealedWriter, error) {
	out, err := to.Create(ctx, key, meta)
	if err != nil {
		return nil, err
	}
	w, err := s.seal(out, key)
	if err != nil {
		out.Abort()
		return nil, err
	}
	return w, nil
}

// CreateBare is Create for a plaintext of gigabytes that has sums of its own, which who
// reads it checks: SHA-256 of it all would take a fifth of the time that sealing takes.
func (s *Sealer) CreateBare(ctx context.Context, to Store, key string, meta map[string]string) (*SealedWriter, error) {
	w, err := s.Create(ctx, to, key, meta)
	if err == nil {
		w.zstd.bare = true
	}
	return w, err
}

func (s *Sealer) seal(out Writer, key string) (*SealedWriter, error) {
	if len(s.recipients) == 0 {
		return nil, fmt.Errorf("seal object %q: there are no recipients: give at least one public key", key)
	}
	w := &SealedWriter{out: out, key: key, stored: sha256.New()}
	var err error
	if w.age, err = age.Encrypt(io.MultiWriter(out, w.stored), s.recipients...); err != nil {
		return nil, fmt.Errorf("seal object %q: %w", key, err)
	}
	w.from, w.zstd = s, s.compressor()
	return w, nil
}

func (s *Sealer) compressor() *compressor {
	if c, ok := s.idle.Get().(*compressor); ok {
		return c
	}
	return newCompressor()
}

// SealedWriter takes the plaintext of a sealed object, from one goroutine. It
// goes from zstd to age to the store's Writer.
type SealedWriter struct {
	out Writer
	key string

	from   *Sealer
	zstd   *compressor // from's; nil = closed
	age    io.WriteCloser
	stored hash.Hash // of what went out
}

func (w *SealedWriter) Write(p []byte) (int, error) {
	if w.zstd == nil {
		return 0, w.closed()
	}
	if err := w.zstd.write(w.age, p); err != nil {
		return 0, fmt.Errorf("seal object %q: %w", w.key, err)
	}
	return len(p), nil
}

// Close makes the object durable and visible, and says what is in it. It fails,
// and nothing is stored, if an earlier Write did.
func (w *SealedWriter) Close() (Sums, error) {
	if w.zstd == nil {
		return Sums{}, w.closed()
	}
	err := w.zstd.end(w.age)
	sums := Sums{PlainSize: w.zstd.size}
	if !w.zstd.bare {
		copy(sums.Plain[:], w.zstd.sum.Sum(nil))
	}
	w.zstd.reset()
	w.from.idle.Put(w.zstd)
	w.zstd = nil
	if err == nil {
		err = w.age.Close()
	}
	if err == nil {
		w.stored.Write(sums.trailer()[:sealedSums])
		copy(sums.Stored[:], w.stored.Sum(nil))
		_, err = w.out.Write(sums.trailer())
	}
	if err == nil {
		err = w.out.Close()
	}
	if err != nil {
		return Sums{}, fmt.Errorf("seal object %q: %w", w.key, err)
	}
	return sums, nil
}

func (w *SealedWriter) closed() error {
	return fmt.Errorf("seal object %q: %w", w.key, fs.ErrClosed)
}

// Abort forgets what was written, and leaves nothing. After Close it does
// nothing.
func (w *SealedWriter) Abort() { w.out.Abort() }

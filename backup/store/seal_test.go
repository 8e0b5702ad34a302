package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"howdah/backup/store"
)

// keys returns a Sealer that only seals, and one that only opens what it seals.
func keys(t testing.TB) (seals, opens *store.Sealer) {
	t.Helper()
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return newSealer(t, "", recipient), newSealer(t, "# a comment\n"+identity+"\n")
}

func newSealer(t testing.TB, identities string, recipients ...string) *store.Sealer {
	t.Helper()
	s, err := store.NewSealer(recipients, identities)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// oneObject is a store that has one object, and can break off after a number of
// its bytes.
type oneObject struct {
	store.Store
	data   []byte
	breaks error // after data, instead of io.EOF
}

func (o oneObject) Get(_ context.Context, key string, offset, _ int64) (io.ReadCloser, store.Info, error) {
	data := o.data
	if offset < 0 {
		data = data[max(0, len(data)+int(offset)):]
	}
	r := io.Reader(bytes.NewReader(data))
	if o.breaks != nil {
		r = io.MultiReader(r, broken{o.breaks})
	}
	return io.NopCloser(r), store.Info{Key: key, Size: int64(len(data))}, nil
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// sealed returns what is stored of a plaintext.
func sealed(t testing.TB, s *store.Sealer, plain []byte) ([]byte, store.Sums) {
	t.Helper()
	var kept keeping
	sums, err := s.Put(context.Background(), &kept, "k", plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	return kept.data, sums
}

// keeping is a store that keeps what is put last.
type keeping struct {
	store.Store
	data []byte
}

func (k *keeping) Put(_ context.Context, _ string, data []byte, _ map[string]string) error {
	k.data = bytes.Clone(data)
	return nil
}

// opened reads a sealed object to its end.
func opened(s *store.Sealer, from store.Store, key string) ([]byte, error) {
	r, _, err := s.Open(context.Background(), from, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	plain, err := io.ReadAll(r)
	if n, again := r.Read(make([]byte, 1)); n != 0 || (err == nil) != (again == io.EOF) {
		return plain, fmt.Errorf("after %w, it says %d bytes and %w", err, n, again)
	}
	return plain, err
}

// noise cannot be compressed.
func noise(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

func TestSealedIsOpened(t *testing.T) {
	d := openDir(t, madeDir(t))
	seals, opens := keys(t)
	ctx := t.Context()
	plains := map[string][]byte{"text": []byte(strings.Repeat("INSERT INTO seat ", 100_000)), "nothing": nil, "one": {7}}
	for _, n := range []int{64<<10 - 80, 64 << 10, 128 << 10, 128<<10 + 1, 1 << 20} {
		plains[fmt.Sprint("noise", n)] = noise(n)
	}
	for name, plain := range plains {
		w, err := seals.Create(ctx, d, name+"/stream", map[string]string{"n": "1"})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		for part := range slices.Chunk(plain, 10_007) {
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		all := map[string]store.Sums{}
		if all["stream"], err = w.Close(); err != nil {
			t.Fatal(err)
		}
		if all["put"], err = seals.Put(ctx, d, name+"/put", plain, map[string]string{"n": "1"}); err != nil {
			t.Fatal(err)
		}
		if all["first"], err = seals.PutIfAbsent(ctx, d, name+"/first", plain, map[string]string{"n": "1"}); err != nil {
			t.Fatal(err)
		}
		for how, sums := range all {
			key := name + "/" + how
			if sums.Plain != sha256.Sum256(plain) || sums.PlainSize != int64(len(plain)) {
				t.Errorf("%s: sums %x of %d bytes are not the plaintext's", key, sums.Plain, sums.PlainSize)
			}
			if got, err := opened(opens, d, key); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s: opened are %d bytes, %v, want %d", key, len(got), err, len(plain))
			}
			if got, err := store.Verify(ctx, d, key); err != nil || got != sums {
				t.Errorf("%s: Verify: %+v, %v, want %+v", key, got, err, sums)
			}
			if got, err := store.ReadSums(ctx, d, key); err != nil || got != sums {
				t.Errorf("%s: ReadSums: %+v, %v, want %+v", key, got, err, sums)
			}
			if info, err := d.Stat(ctx, key); err != nil || info.Meta["n"] != "1" {
				t.Errorf("%s: %+v, %v", key, info, err)
			}
		}
	}
	if info, err := d.Stat(ctx, "text/put"); err != nil || info.Size > 20_000 {
		t.Errorf("1.7 MB of one sentence take %d bytes, %v", info.Size, err)
	}
}

// The format outlives this program: age and zstd alone must be able to read it.
func TestSealedIsAgeAndZstd(t *testing.T) {
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.ParseX25519Identity(identity)
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"hello", ""} {
		object, sums := sealed(t, newSealer(t, "", recipient), []byte(plain))
		r, err := age.Decrypt(bytes.NewReader(object[:len(object)-80]), id)
		if err != nil {
			t.Fatal(err)
		}
		decrypted, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		// The zstd command takes no empty file for a compressed one.
		if !bytes.HasPrefix(decrypted, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
			t.Errorf("%q begins with % x, not as zstd does", plain, decrypted)
		}
		z, err := zstd.NewReader(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		if got, err := z.DecodeAll(decrypted, nil); string(got) != plain || err != nil {
			t.Errorf("%q reads %q, %v", plain, got, err)
		}
		if sums.Stored != sha256.Sum256(object[:len(object)-32]) || !bytes.HasSuffix(object, sums.Stored[:]) {
			t.Errorf("%q: the last 32 bytes are not the sum of those before", plain)
		}
		if plain != "" && bytes.Contains(object, []byte(plain)) {
			t.Errorf("%q is in it", plain)
		}
	}
}

func TestOpenNeedsAnIdentityOfTheRecipients(t *testing.T) {
	identityA, a, _ := store.NewIdentity()
	identityB, b, _ := store.NewIdentity()
	identityC, _, _ := store.NewIdentity()
	object, _ := sealed(t, newSealer(t, "", a, b), []byte("hello"))
	from := oneObject{data: object}
	for _, identities := range []string{identityA, identityB, identityC + "\n" + identityB} {
		if plain, err := opened(newSealer(t, identities), from, "k"); string(plain) != "hello" || err != nil {
			t.Errorf("opened is %q, %v", plain, err)
		}
	}
	for what, s := range map[string]*store.Sealer{"no": newSealer(t, "", a, b), "another": newSealer(t, identityC, a)} {
		_, err := opened(s, from, "k")
		if !errors.Is(err, store.ErrNoIdentity) || errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "identity_file") {
			t.Errorf("with %s identity: %v, want ErrNoIdentity and what is missing", what, err)
		}
	}
}

func TestSealNeedsRecipients(t *testing.T) {
	identity, recipient, _ := store.NewIdentity()
	s := newSealer(t, identity)
	where := madeDir(t)
	d := openDir(t, where)
	if _, err := s.Put(t.Context(), d, "k", nil, nil); err == nil {
		t.Error("Put without recipients succeeds")
	}
	if _, err := s.Create(t.Context(), d, "k", nil); err == nil {
		t.Error("Create without recipients succeeds")
	}
	if left := slices.Concat(filesIn(t, where, "objects"), filesIn(t, where, "tmp")); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
	for _, bad := range []string{"", "age1", identity, recipient + "x", "ssh-ed25519 AAAA"} {
		if _, err := store.NewSealer([]string{bad}, ""); err == nil {
			t.Errorf("%q passes for a recipient", bad)
		}
	}
	for _, bad := range []string{"\n", "x", recipient, identity + "x"} {
		_, err := store.NewSealer(nil, bad)
		if err == nil {
			t.Errorf("%q passes for an identity", bad)
		} else if strings.Contains(err.Error(), identity[20:40]) {
			t.Errorf("the error tells the private key: %v", err)
		}
	}
}

// ErrExists leaves it to the caller to tell the same from another.
func TestSealedPutIfAbsentTwice(t *testing.T) {
	d := openDir(t, madeDir(t))
	seals, _ := keys(t)
	first, err := seals.PutIfAbsent(t.Context(), d, "wal/1", []byte("segment"), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := seals.PutIfAbsent(t.Context(), d, "wal/1", []byte("segment"), nil)
	if !errors.Is(err, store.ErrExists) {
		t.Fatalf("a second time: %v, want ErrExists", err)
	}
	stored, err := store.ReadSums(t.Context(), d, "wal/1")
	if err != nil || stored != first {
		t.Errorf("stored is %+v, %v, want %+v", stored, err, first)
	}
	if stored.Plain != second.Plain || stored.Stored == second.Stored {
		t.Error("the same plaintext sealed twice must have the same sum, in other bytes")
	}
}

func TestSealedWriterEndsOnce(t *testing.T) {
	d := openDir(t, madeDir(t))
	seals, opens := keys(t)
	w, err := seals.Create(t.Context(), d, "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// Another stream has what it was using by now.
	other, err := seals.Create(t.Context(), d, "other", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Abort()
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("Write after Close succeeds")
	}
	if _, err := w.Close(); err == nil {
		t.Error("a second Close succeeds")
	}
	w.Abort()
	if _, err := other.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Close(); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"k": "", "other": "hello"} {
		if plain, err := opened(opens, d, key); string(plain) != want || err != nil {
			t.Errorf("%s is %q, %v, want %q", key, plain, err, want)
		}
	}
}

// One Sealer serves many streams at once.
func TestSealerIsForMany(t *testing.T) {
	d := openDir(t, madeDir(t))
	seals, opens := keys(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 5 {
				key, plain := fmt.Sprintf("%d/%d", i, n), bytes.Repeat([]byte{byte(i), byte(n)}, 100_000)
				if _, err := seals.Put(t.Context(), d, key, plain, nil); err != nil {
					t.Error(err)
				}
				if got, err := opened(opens, d, key); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%s: %d bytes, %v", key, len(got), err)
				}
			}
		})
	}
	all.Wait()
}

func TestAbortedSealLeavesNothing(t *testing.T) {
	where := madeDir(t)
	d := openDir(t, where)
	seals, _ := keys(t)
	w, err := seals.Create(t.Context(), d, "aborted", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(noise(1 << 20)); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if _, err := w.Close(); err == nil {
		t.Error("Close after Abort succeeds")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if w, err = seals.Create(ctx, d, "cancelled", nil); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("Close with a cancelled context: %v", err)
	}
	if left := slices.Concat(filesIn(t, where, "objects"), filesIn(t, where, "tmp")); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
}

func TestSealedStreamNeedsLittleMemory(t *testing.T) {
	d := openDir(t, madeDir(t))
	seals, opens := keys(t)
	block := noise(1 << 20)
	before := heap()
	most := uint64(0)
	look := func(i int) {
		if i%16 == 15 {
			now := heap()
			most = max(most, now-min(before, now))
		}
	}
	w, err := seals.Create(t.Context(), d, "big", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range 64 {
		block[0] = byte(i)
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
		look(i)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, _, err := opens.Open(t.Context(), d, "big")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range 64 {
		if _, err := io.CopyN(io.Discard, r, 1<<20); err != nil {
			t.Fatal(err)
		}
		look(i)
	}
	if n, err := r.Read(block); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if most > 32<<20 {
		t.Errorf("64 MiB take %d MiB of memory", most>>20)
	}
	runtime.KeepAlive(w)
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestBare stores objects whose plaintext has no sum beside it, and does not take them for
// others, nor others for them.
func TestBare(t *testing.T) {
	d := openDir(t, madeDir(t))
	seals, opens := keys(t)
	ctx := t.Context()
	plain := bytes.Repeat([]byte("SELECT seat FROM howdah "), 100_000)
	put := func(key string, create func(context.Context, store.Store, string, map[string]string) (*store.SealedWriter, error)) store.Sums {
		w, err := create(ctx, d, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		sums, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := store.Verify(ctx, d, key); again != sums || err != nil || sums.PlainSize != int64(len(plain)) {
			t.Errorf("%s: %+v and %+v, %v", key, sums, again, err)
		}
		return sums
	}
	none := [sha256.Size]byte{}
	if sums := put("bare", seals.CreateBare); sums.Plain != none {
		t.Errorf("%x", sums.Plain)
	}
	if sums := put("summed", seals.Create); sums.Plain != sha256.Sum256(plain) { // by the same compressor
		t.Errorf("%x", sums.Plain)
	}
	r, _, err := opens.OpenBare(ctx, d, "bare")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := opened(opens, d, "bare"); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("bare for summed: %v", err)
	}
	r, _, err = opens.OpenBare(ctx, d, "summed")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("summed for bare: %v", err)
	}
}

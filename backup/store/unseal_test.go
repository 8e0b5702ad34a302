package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"howdah/backup/store"
)

// wantDamaged checks that an object neither opens nor verifies.
func wantDamaged(t *testing.T, opens *store.Sealer, object []byte, what string, args ...any) {
	t.Helper()
	from := oneObject{data: object}
	plain, err := opened(opens, from, "k")
	if !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrNoIdentity) {
		t.Errorf("%s: opened are %d bytes, %v, want ErrDamaged", fmt.Sprintf(what, args...), len(plain), err)
	}
	if _, err := store.Verify(context.Background(), from, "k"); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("%s: Verify: %v, want ErrDamaged", fmt.Sprintf(what, args...), err)
	}
}

func TestDamagedObjectDoesNotOpen(t *testing.T) {
	seals, opens := keys(t)
	small, _ := sealed(t, seals, []byte(strings.Repeat("hello ", 40)))
	big, _ := sealed(t, seals, noise(300_000))
	other, _ := sealed(t, seals, []byte("other"))
	for _, object := range [][]byte{small, big} {
		step := 1
		if len(object) > 1000 {
			step = 9973
		}
		for i := 0; i < len(object); i += step {
			flipped := bytes.Clone(object)
			flipped[i] ^= 1 << (i % 8)
			wantDamaged(t, opens, flipped, "%d bytes, byte %d flipped", len(object), i)
			wantDamaged(t, opens, object[:i], "%d bytes cut after %d", len(object), i)
		}
		trailer := len(object) - 80
		wantDamaged(t, opens, slices.Concat(object, object), "twice the object")
		wantDamaged(t, opens, append(bytes.Clone(object), 0), "a byte more")
		wantDamaged(t, opens, slices.Concat(object[:trailer], other[len(other)-80:]), "another's trailer")
		wantDamaged(t, opens, slices.Concat(object[:trailer-1], object[trailer:]), "a byte less before the trailer")
	}
	at := bytes.Index(big, []byte("\n---")) + 1
	at += bytes.IndexByte(big[at:], '\n') + 1 + 16 // behind age's header and nonce
	for chunk := range 4 {
		at += 64<<10 + 16
		wantDamaged(t, opens, slices.Concat(big[:at], big[len(big)-80:]), "cut after chunk %d", chunk)
	}
}

// forged makes an object as anybody can who has the recipient: its bytes have
// the right sum, but its plaintext need not.
func forged(t *testing.T, recipient string, compressed, plain []byte, size int) []byte {
	t.Helper()
	r, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	var object bytes.Buffer
	w, err := age.Encrypt(&object, r)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(compressed)
	w.Close()
	sum := sha256.Sum256(plain)
	object.Write(sum[:])
	object.Write(binary.BigEndian.AppendUint64(nil, uint64(size)))
	object.WriteString("howdah-1")
	stored := sha256.Sum256(object.Bytes())
	object.Write(stored[:])
	return object.Bytes()
}

// Where the stored bytes are as they were, it is the plaintext that is checked.
func TestOpenChecksThePlaintext(t *testing.T) {
	identity, recipient, _ := store.NewIdentity()
	opens := newSealer(t, identity)
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	hello := z.EncodeAll([]byte("hello"), nil)
	good := oneObject{data: forged(t, recipient, hello, []byte("hello"), 5)}
	if plain, err := opened(opens, good, "k"); string(plain) != "hello" || err != nil {
		t.Fatalf("%q, %v", plain, err)
	}
	wide, err := zstd.NewWriter(nil, zstd.WithWindowSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	wide.Reset(&stream)
	wide.Write(noise(100))
	wide.Flush()
	wide.Write(noise(100))
	wide.Close()
	for what, object := range map[string][]byte{
		"another plaintext":       forged(t, recipient, hello, []byte("hallo"), 5),
		"another length":          forged(t, recipient, hello, []byte("hello"), 4),
		"more than was sealed":    forged(t, recipient, slices.Concat(hello, hello), []byte("hello"), 5),
		"less than was sealed":    forged(t, recipient, hello, []byte("hellohello"), 10),
		"half a zstd frame":       forged(t, recipient, hello[:len(hello)-3], []byte("hello"), 5),
		"no zstd":                 forged(t, recipient, []byte("hello"), []byte("hello"), 5),
		"no zstd frame at all":    forged(t, recipient, nil, []byte("hello"), 5),
		"a window of 64 MiB":      forged(t, recipient, stream.Bytes(), slices.Concat(noise(100), noise(100)), 200),
		"a trailer and no object": forged(t, recipient, nil, nil, 0)[200:],
	} {
		from := oneObject{data: object}
		if plain, err := opened(opens, from, "k"); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: opened is %q, %v, want ErrDamaged", what, plain, err)
		}
		if _, err := store.Verify(t.Context(), from, "k"); err != nil && object[0] == 'a' {
			t.Errorf("%s: Verify, which cannot know: %v", what, err)
		}
	}
}

// What went wrong on the way is not taken for what is stored.
func TestTroubleIsNoDamage(t *testing.T) {
	seals, opens := keys(t)
	object, _ := sealed(t, seals, noise(300_000))
	trouble := errors.New("connection reset")
	for _, n := range []int{0, 10, 100, 150, 250, 1000, 100_000, len(object) - 90, len(object) - 80, len(object) - 1, len(object)} {
		from := oneObject{data: object[:n], breaks: trouble}
		if plain, err := opened(opens, from, "k"); !errors.Is(err, trouble) || errors.Is(err, store.ErrDamaged) {
			t.Errorf("broken after %d: opened are %d bytes, %v", n, len(plain), err)
		}
		if _, err := store.Verify(t.Context(), from, "k"); !errors.Is(err, trouble) || errors.Is(err, store.ErrDamaged) {
			t.Errorf("broken after %d: Verify: %v", n, err)
		}
	}
}

// Only these tests know this key. It is fixed because the processes of a fuzzer
// share their inputs, not their keys.
const (
	fuzzIdentity  = "AGE-SECRET-KEY-1X9LG99FFNRUDK5NKKZS93YDMEHP3VXAR4NSGAEJZT7S779ZQ9A2SW4XT7X"
	fuzzRecipient = "age1e2h27rv7qulmcuvn43yue33kl3tcp3w6gqjh3jydzdwyu0uvmg8s863f20"
)

// FuzzOpen opens bytes of any kind: only the one that was sealed opens.
func FuzzOpen(f *testing.F) {
	plain := []byte(strings.Repeat("hello ", 40))
	seals, opens := newSealer(f, "", fuzzRecipient), newSealer(f, fuzzIdentity)
	object, _ := sealed(f, seals, plain)
	f.Add(object)
	f.Add(object[:len(object)-1])
	f.Add(object[:len(object)-80])
	f.Add(object[len(object)-80:])
	f.Add([]byte("age-encryption.org/v1\n-> X25519 "))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		from := oneObject{data: data}
		got, err := opened(opens, from, "k")
		if err == nil && !bytes.Equal(got, plain) {
			t.Errorf("it opens: %q", got)
		}
		_, verifyErr := store.Verify(context.Background(), from, "k")
		if err == nil && verifyErr != nil {
			t.Errorf("it opens, but Verify says %v", verifyErr)
		}
		if err != nil && !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrNoIdentity) {
			t.Errorf("%v is neither ErrDamaged nor ErrNoIdentity", err)
		}
	})
}

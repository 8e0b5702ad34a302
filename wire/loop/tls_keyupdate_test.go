package loop_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

// TLS 1.3's KeyUpdate is answered out of a read: crypto/tls then writes by
// itself, also while reading is all that the loop asked for. Go never sends
// the request, so the peer's records are sealed here (RFC 8446, 5.2 and 7.2).
func TestTLSKeyUpdate(t *testing.T) {
	t.Parallel()
	for name, fullBuffer := range map[string]bool{"idle": false, "bytes wait": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			var keys bytes.Buffer
			ours, under, peer := handshake(t, secureCase{tls.VersionTLS13, true}, &tls.Config{KeyLogWriter: &keys}, nil)
			seal := &sealer{secret: clientSecret(t, keys.String())}
			if suite := peer.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
				t.Fatalf("this test seals with AES-128-GCM, but Go chose %s (a processor without AES?)", tls.CipherSuiteName(suite))
			}
			s := newSink()
			c := adoptTLS(t, l, ours, under, s)
			var want []byte
			write := func(b []byte) { want = append(want, b...); c.Write(b) }
			if fullBuffer {
				shrink(t, c.FD())
				on(t, l, func() {
					for c.Buffered() == 0 {
						write(noise(1<<20, 30))
					}
				})
			}
			for round := range 5 {
				records := seal.record(23, []byte("old key "))
				records = append(records, seal.record(22, []byte{24, 0, 0, 1, 1})...) // KeyUpdate, update_requested
				seal.update()
				records = append(records, seal.record(23, []byte("new key "))...)
				if _, err := peer.NetConn().Write(records); err != nil {
					t.Fatal(err)
				}
				eventually(t, l, "both records are read", func() bool { return s.got.Len() == 16*(round+1) })
				on(t, l, func() { write([]byte("sealed with the new key")) })
				if !fullBuffer {
					same(t, readAll(t, peer, len(want)), want)
					want = nil
				}
			}
			same(t, readAll(t, peer, len(want)), want)
			on(t, l, func() { same(t, s.got.Bytes(), []byte(strings.Repeat("old key new key ", 5))) })
		})
	}
}

// clientSecret finds the client's first traffic secret in a key log.
func clientSecret(t *testing.T, log string) []byte {
	t.Helper()
	for line := range strings.Lines(log) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(f[2])
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
	}
	t.Fatal("no secret in the key log")
	return nil
}

// sealer makes TLS 1.3 records with AES-128-GCM.
type sealer struct {
	secret []byte
	sent   uint64
}

func (s *sealer) record(typ byte, content []byte) []byte {
	block, err := aes.NewCipher(s.expand("key", 16))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	nonce := s.expand("iv", 12)
	tail := nonce[4:]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^s.sent)
	s.sent++
	inner := append(append([]byte{}, content...), typ)
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(inner)+aead.Overhead()))
	return aead.Seal(head, nonce, inner, head)
}

// update goes on to the next traffic secret.
func (s *sealer) update() { s.secret, s.sent = s.expand("traffic upd", sha256.Size), 0 }

func (s *sealer) expand(label string, size int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(info, "tls13 "...), label...)
	info = append(info, 0) // no context
	out, err := hkdf.Expand(sha256.New, s.secret, string(info), size)
	if err != nil {
		panic(err)
	}
	return out
}

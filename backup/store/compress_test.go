package store

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestCompressorBorders writes plaintexts that end around a frame's border, in pieces that
// do and do not, and reads them with another implementation.
func TestCompressorBorders(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	plain := make([]byte, 3*frameSize+1)
	for i := range plain {
		plain[i] = byte(random.IntN(4))
	}
	c := newCompressor()
	for _, size := range []int{0, 1, frameSize - 1, frameSize, frameSize + 1, 2 * frameSize, len(plain)} {
		for _, piece := range []int{1 << 10, frameSize - 1, frameSize, frameSize + 1, len(plain)} {
			var out bytes.Buffer
			for from := 0; from < size; from += piece {
				if err := c.write(&out, plain[from:min(from+piece, size)]); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.end(&out); err != nil {
				t.Fatal(err)
			}
			c.reset()
			r, err := zstd.NewReader(&out, zstd.WithDecoderConcurrency(1))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			r.Close()
			if err != nil || !bytes.Equal(got, plain[:size]) {
				t.Errorf("%d bytes in pieces of %d: read %d, %v", size, piece, len(got), err)
			}
		}
	}
}

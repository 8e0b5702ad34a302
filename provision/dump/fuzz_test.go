package dump

import (
	"bytes"
	"testing"
)

// A table of contents may be anybody's.
func FuzzContents(f *testing.F) {
	f.Add([]byte("PGDMP\x01\x0e\x00\x04\x08\x03"))
	f.Add([]byte("PGDMP\x01\x10\x00\x04\x08\x01\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := readContents(bytes.NewReader(text))
		if err == nil && (c == nil || len(c.files) > len(text)) {
			t.Errorf("%d bytes name %+v", len(text), c)
		}
	})
}

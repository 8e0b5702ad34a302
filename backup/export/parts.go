package export

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"howdah/backup/store"
)

// partSize is how many bytes of the archive are in one object: what breaks off is written
// again from the start, and zstd has no way into the middle.
const partSize = 256 << 20

// partsWriter cuts what it is given into sealed objects.
type partsWriter struct {
	ctx   context.Context
	place *Place
	m     *Manifest // its Parts are those that are stored
	size  int64     // of a part

	open  *store.SealedWriter // nil: the next byte begins a part
	taken int64               // bytes of the open part
}

func (w *partsWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if w.open == nil {
			key := w.m.key(len(w.m.Parts))
			if w.open, err = w.place.Sealer.Create(w.ctx, w.place.Store, key, nil); err != nil {
				return n, err
			}
		}
		fits := min(int64(len(p)), w.size-w.taken)
		if _, err := w.open.Write(p[:fits]); err != nil {
			return n, err
		}
		n, p, w.taken = n+int(fits), p[fits:], w.taken+fits
		if w.taken == w.size {
			if err := w.end(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// end stores the open part, if there is one.
func (w *partsWriter) end() error {
	if w.open == nil {
		return nil
	}
	sums, err := w.open.Close()
	if err != nil {
		return err
	}
	key := w.m.key(len(w.m.Parts))
	info, err := w.place.Store.Stat(w.ctx, key)
	if err != nil {
		return fmt.Errorf("look at object %q: %w", key, err)
	}
	w.m.Parts = append(w.m.Parts, Part{
		Size: sums.PlainSize, SHA256: hex.EncodeToString(sums.Plain[:]), Stored: info.Size, StoredSum: hex.EncodeToString(sums.Stored[:]),
	})
	w.m.Stored += info.Size
	w.open, w.taken = nil, 0
	return nil
}

// abort forgets the open part.
func (w *partsWriter) abort() {
	if w.open != nil {
		w.open.Abort()
	}
}

// partsReader reads the archive from its parts, each of which must be the one that the
// manifest means.
type partsReader struct {
	ctx   context.Context
	place *Place
	m     *Manifest

	next int // part
	open *checkedPart
}

func (r *partsReader) Read(p []byte) (int, error) {
	for {
		if r.open == nil {
			if r.next == len(r.m.Parts) {
				return 0, io.EOF
			}
			var err error
			if r.open, err = openPart(r.ctx, r.place, r.m, r.next); err != nil {
				return 0, err
			}
			r.next++
		}
		n, err := r.open.Read(p)
		if err != io.EOF {
			return n, err
		}
		r.open.Close()
		r.open = nil
		if n > 0 {
			return n, nil
		}
	}
}

func (r *partsReader) Close() {
	if r.open != nil {
		r.open.Close()
	}
}

package store

import "testing"

// An upload has at most 10,000 parts of 5 MiB to 5 GiB each, and an object at
// most 5 TiB: the parts must hold more than that.
func TestPartsHoldTheLargestObject(t *testing.T) {
	t.Parallel()
	whole := 0
	for n := 1; n <= maxParts; n++ {
		size := partSize(n)
		if size < 5<<20 || size > 5<<30 {
			t.Fatalf("part %d has %d bytes", n, size)
		}
		if whole < 8<<30-1000<<20 && size > 8<<20 {
			t.Fatalf("part %d of an object of %d bytes so far takes %d bytes of memory", n, whole, size)
		}
		whole += size
	}
	if whole < 5<<40 {
		t.Errorf("the parts hold %d bytes", whole)
	}
}

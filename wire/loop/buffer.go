package loop

// Size classes of pooled buffers in bytes, and how many of each a loop keeps.
// Larger ones are left to the garbage collector.
var bufferClasses = [...]struct{ size, keep int }{{1 << 10, 1024}, {4 << 10, 256}, {16 << 10, 64}, {64 << 10, 32}}

// Buffers is a loop's free list of byte buffers. It belongs to the loop's
// thread.
type Buffers struct {
	free [len(bufferClasses)][][]byte
}

// Take returns an empty buffer with room for at least n bytes.
func (b *Buffers) Take(n int) []byte {
	for i, class := range bufferClasses {
		if n > class.size {
			continue
		}
		if last := len(b.free[i]) - 1; last >= 0 {
			buf := b.free[i][last]
			b.free[i][last] = nil
			b.free[i] = b.free[i][:last]
			return buf
		}
		return make([]byte, 0, class.size)
	}
	return make([]byte, 0, n)
}

// Give returns a buffer that Take or Append returned. Its bytes may be
// overwritten at once.
func (b *Buffers) Give(buf []byte) {
	for i, class := range bufferClasses {
		if cap(buf) == class.size {
			if len(b.free[i]) < class.keep {
				b.free[i] = append(b.free[i], buf[:0])
			}
			return
		}
	}
}

// Append adds data to buf, which may be nil, moving it to a larger buffer of
// the list where it must grow.
func (b *Buffers) Append(buf, data []byte) []byte {
	if need := len(buf) + len(data); need > cap(buf) {
		size := need
		if size > bufferClasses[len(bufferClasses)-1].size {
			size += size / 2 // no class left to grow through: grow geometrically
		}
		grown := append(b.Take(size), buf...)
		b.Give(buf)
		buf = grown
	}
	return append(buf, data...)
}

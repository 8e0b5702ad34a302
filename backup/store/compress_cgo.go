//go:build cgo

package store

import "github.com/DataDog/zstd"

// level of compression: PostgreSQL's WAL and tables are compressed to a quarter at more than
// the speed of a disk; the next level is slower by a third and no smaller.
const level = 1

// frameBound is more than a frame has bytes: ZSTD_compressBound of its plaintext.
var frameBound = zstd.CompressBound(frameSize)

// frames compresses by zstd's own code, which is in C: twice as fast as that in Go.
type frames struct{ zstd zstd.Ctx }

func newFrames() frames { return frames{zstd.NewCtx()} }

// compress makes a frame of a plaintext, in the room that it is given.
func (f frames) compress(room, plain []byte) ([]byte, error) {
	return f.zstd.CompressLevel(room, plain, level)
}

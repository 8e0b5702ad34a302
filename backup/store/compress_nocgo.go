//go:build !cgo

package store

import "github.com/klauspost/compress/zstd"

// frameBound is more than a frame has bytes, unless it cannot be compressed.
const frameBound = frameSize + 1<<10

// frames compresses by code in Go: it was built where there is no C compiler.
type frames struct{ zstd *zstd.Encoder }

func newFrames() frames {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(frameSize), zstd.WithZeroFrames(true))
	if err != nil {
		panic(err) // these options are right
	}
	return frames{e}
}

// compress makes a frame of a plaintext, in the room that it is given.
func (f frames) compress(room, plain []byte) ([]byte, error) {
	return f.zstd.EncodeAll(plain, room[:0]), nil
}

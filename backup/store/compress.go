package store

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"sync"
)

const frameSize = 1 << 20 // of plaintext in a frame of zstd

// compressor cuts a plaintext into frames of zstd, one after the other: what any zstd reads
// as one. A frame is compressed in one piece, which takes less time than as a part of a
// stream, and what a writer that is aborted has begun is nothing that must be freed.
type compressor struct {
	frames frames
	sum    hash.Hash // of the plaintext in frames
	bare   bool      // no sum is wanted
	size   int64     // of that
	begun  []byte    // of the next frame: less than all of it
	frame  []byte    // room for a frame that is compressed
	framed bool      // there has been one
}

func newCompressor() *compressor {
	return &compressor{
		frames: newFrames(), sum: sha256.New(), begun: make([]byte, 0, frameSize), frame: make([]byte, frameBound),
	}
}

// reset forgets what was begun.
func (c *compressor) reset() {
	c.sum.Reset()
	c.size, c.begun, c.framed, c.bare = 0, c.begun[:0], false, false
}

// write compresses p, with what was begun, as far as it makes whole frames.
func (c *compressor) write(to io.Writer, p []byte) error {
	for len(p) > 0 {
		if len(c.begun) == 0 && len(p) >= frameSize {
			if err := c.put(to, p[:frameSize]); err != nil {
				return err
			}
			p = p[frameSize:]
			continue
		}
		n := min(len(p), frameSize-len(c.begun))
		c.begun, p = append(c.begun, p[:n]...), p[n:]
		if len(c.begun) == frameSize {
			if err := c.put(to, c.begun); err != nil {
				return err
			}
			c.begun = c.begun[:0]
		}
	}
	return nil
}

// end compresses what was begun. Of nothing it makes an empty frame: no bytes are no zstd.
func (c *compressor) end(to io.Writer) error {
	if len(c.begun) == 0 && c.framed {
		return nil
	}
	return c.put(to, c.begun)
}

// put compresses a frame, and has another processor add it to the sum meanwhile, which takes
// a quarter of the time.
func (c *compressor) put(to io.Writer, plain []byte) error {
	var summing sync.WaitGroup
	if !c.bare {
		summing.Go(func() { c.sum.Write(plain) })
	}
	defer summing.Wait()
	c.size += int64(len(plain))
	frame, err := c.frames.compress(c.frame, plain)
	if err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	c.framed = true
	_, err = to.Write(frame)
	return err
}

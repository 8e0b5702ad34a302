package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	maxParts  = 10_000  // S3's limit
	firstPart = 8 << 20 // S3 wants at least 5 MiB of every part but the last
)

// partSize is the size of the n-th part of an upload, from 1 on. It doubles with
// each thousand, so that the parts hold more than the 5 TiB that an object may
// have; one of 8 GB never needs more than 8 MiB.
func partSize(n int) int {
	return firstPart << ((n - 1) / 1000)
}

// Create begins an object. What is shorter than one part is put whole when the
// stream is closed; anything longer is a multipart upload, of which one part is
// under way while the next is written.
func (s *S3) Create(ctx context.Context, key string, meta map[string]string) (Writer, error) {
	err := ctx.Err()
	if err == nil {
		err = errors.Join(CheckKey(key), CheckMeta(meta))
	}
	if err != nil {
		return nil, fmt.Errorf("put object %q: %w", key, err)
	}
	w := &s3Writer{s: s, key: key, options: s.options(meta)}
	w.ctx, w.cancel = context.WithCancel(ctx)
	return w, nil
}

// s3Writer writes an object. Its fields are its caller's goroutine's; a part that
// is under way is sent by another, which has the part's buffer meanwhile.
type s3Writer struct {
	s       *S3
	key     string
	options minio.PutObjectOptions
	ctx     context.Context
	cancel  context.CancelFunc

	buffer []byte // the part that is being written
	spare  []byte // for the next
	upload string // id of the multipart upload; "" = none is begun
	parts  []minio.CompletePart
	under  chan sentPart // nil = no part is under way
	err    error         // why it is over
}

// sentPart is how sending a part has ended.
type sentPart struct {
	part   minio.CompletePart
	buffer []byte
	err    error
}

func (w *s3Writer) Write(p []byte) (written int, err error) {
	if w.err != nil {
		return 0, w.over()
	}
	if err := w.ctx.Err(); err != nil {
		return 0, w.fail(err)
	}
	for len(p) > 0 {
		size := partSize(len(w.parts) + 1)
		if w.under != nil {
			size = partSize(len(w.parts) + 2)
		}
		if len(w.buffer) == size {
			if err := w.sendPart(); err != nil {
				return written, w.fail(err)
			}
			continue
		}
		n := min(len(p), size-len(w.buffer))
		w.buffer = append(w.buffer, p[:n]...)
		written += n
		p = p[n:]
	}
	return written, nil
}

// sendPart sends off the buffer once the part before it has arrived.
func (w *s3Writer) sendPart() error {
	if err := w.await(); err != nil {
		return err
	}
	if w.upload == "" {
		if err := w.begin(); err != nil {
			return err
		}
	}
	number := len(w.parts) + 1
	if number > maxParts {
		return fmt.Errorf("%w length: an object has at most %d parts", ErrInvalid, maxParts)
	}
	buffer := w.buffer
	under := make(chan sentPart, 1)
	go func() {
		part, err := w.put(number, buffer)
		under <- sentPart{part, buffer, err}
	}()
	w.under = under
	w.buffer, w.spare = w.spare[:0], nil
	if w.buffer == nil {
		w.buffer = make([]byte, 0, partSize(number+1))
	}
	return nil
}

// await waits for the part that is under way.
func (w *s3Writer) await() error {
	if w.under == nil {
		return nil
	}
	sent := <-w.under
	w.under = nil
	if sent.err != nil {
		return sent.err
	}
	w.parts = append(w.parts, sent.part)
	w.spare = sent.buffer
	return nil
}

// begin begins the multipart upload.
func (w *s3Writer) begin() error {
	options := w.options
	if len(w.s.sums(nil).headers) > 0 {
		options.UserMetadata["x-amz-checksum-algorithm"] = "CRC32C"
	}
	return w.s.again.do(w.ctx, func(try *try) (err error) {
		w.upload, err = w.s.client.NewMultipartUpload(try.ctx, w.s.config.Bucket, w.s.prefix+w.key, options)
		return w.s.plain(try.ctx, err)
	})
}

// put sends one part, as often as need be.
func (w *s3Writer) put(number int, data []byte) (minio.CompletePart, error) {
	sums := w.s.sums(data)
	var part minio.ObjectPart
	err := w.s.again.do(w.ctx, func(try *try) (err error) {
		part, err = w.s.client.PutObjectPart(try.ctx, w.s.config.Bucket, w.s.prefix+w.key, w.upload, number, &s3Body{data: data}, int64(len(data)),
			minio.PutObjectPartOptions{Md5Base64: sums.md5, Sha256Hex: sums.sha256, CustomHeader: sums.partHeaders(), DisableContentSha256: true})
		return w.s.plain(try.ctx, err)
	})
	return minio.CompletePart{PartNumber: number, ETag: part.ETag, ChecksumCRC32C: part.ChecksumCRC32C}, err
}

func (w *s3Writer) Close() error {
	if w.err != nil {
		return w.over()
	}
	err := w.ctx.Err()
	switch {
	case err != nil:
	case w.upload == "":
		err = w.s.again.do(w.ctx, func(try *try) error { return w.s.putWhole(try.ctx, w.key, w.buffer, w.options, false) })
	default:
		err = w.complete()
	}
	if err != nil {
		return w.fail(err)
	}
	w.err = fs.ErrClosed
	w.upload = ""
	w.release()
	return nil
}

// complete sends the last part, and has the server make the object of them all.
func (w *s3Writer) complete() error {
	if err := w.sendPart(); err != nil {
		return err
	}
	if err := w.await(); err != nil {
		return err
	}
	return w.s.again.do(w.ctx, func(try *try) error {
		_, err := w.s.client.CompleteMultipartUpload(try.ctx, w.s.config.Bucket, w.s.prefix+w.key, w.upload, w.parts, minio.PutObjectOptions{})
		return w.s.plain(try.ctx, err)
	})
}

// abortTime is how long Abort tries. What it could not remove, OpenS3 will.
const abortTime = 20 * time.Second

func (w *s3Writer) Abort() {
	if w.err == fs.ErrClosed {
		return
	}
	if w.err == nil {
		w.fail(errors.New("aborted"))
	}
	if w.upload == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), abortTime)
	defer cancel()
	w.s.again.do(ctx, func(try *try) error { return w.s.abort(try.ctx, w.s.prefix+w.key, w.upload) })
	w.upload = ""
}

func (w *s3Writer) over() error {
	return fmt.Errorf("put object %q: %w", w.key, w.err)
}

// fail ends the writing.
func (w *s3Writer) fail(err error) error {
	w.err = err
	w.release()
	return w.over()
}

// release ends what is under way, and lets the memory go.
func (w *s3Writer) release() {
	w.cancel()
	w.await()
	w.buffer, w.spare, w.parts = nil, nil, nil
}

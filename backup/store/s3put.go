package store

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
)

// Put stores data under key, in place of what was there.
func (s *S3) Put(ctx context.Context, key string, data []byte, meta map[string]string) error {
	return s.put(ctx, key, data, meta, false)
}

// PutIfAbsent stores data under key unless there is an object: If-None-Match on
// a single PUT. Who reaches a server that does not know it is told by
// CheckPutIfAbsent.
func (s *S3) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	return s.put(ctx, key, data, meta, true)
}

func (s *S3) put(ctx context.Context, key string, data []byte, meta map[string]string, ifAbsent bool) error {
	err := errors.Join(CheckKey(key), CheckMeta(meta))
	if err == nil {
		err = s.putWhole(ctx, key, data, s.options(meta), ifAbsent)
	}
	if err != nil {
		return fmt.Errorf("put object %q: %w", key, err)
	}
	return nil
}

// putWhole stores an object with one request.
func (s *S3) putWhole(ctx context.Context, key string, data []byte, options minio.PutObjectOptions, ifAbsent bool) error {
	if ifAbsent {
		options.SetMatchETagExcept("*")
	}
	sums := s.sums(data)
	for name, value := range sums.headers {
		options.UserMetadata[name] = value
	}
	_, err := s.client.PutObject(ctx, s.config.Bucket, s.prefix+key, &s3Body{data: data}, int64(len(data)), sums.md5, sums.sha256, options)
	return s.plain(ctx, err)
}

// options are what the request that begins an object says of it.
func (s *S3) options(meta map[string]string) minio.PutObjectOptions {
	o := minio.PutObjectOptions{
		UserMetadata:         map[string]string{},
		ServerSideEncryption: s.sse,
		StorageClass:         s.config.StorageClass,
		DisableContentSha256: true, // of chunks; sums has that of the whole where it counts
	}
	for name, value := range meta {
		o.UserMetadata["x-amz-meta-"+name] = value // or "expires" would be something else
	}
	if s.config.Lock != "" {
		o.Mode = minio.RetentionMode(s.config.Lock)
		o.RetainUntilDate = time.Now().AddDate(0, 0, s.config.LockDays)
	}
	return o
}

// s3Sums are by what the server sees that what came is what was sent.
type s3Sums struct {
	md5, sha256 string
	headers     map[string]string
}

// crc32cHeader is the header in which S3 takes a sum, and gives it back.
const crc32cHeader = "x-amz-checksum-crc32c"

func (s *S3) sums(data []byte) s3Sums {
	sums := s3Sums{headers: map[string]string{}}
	switch s.config.Checksum {
	case "md5":
		sum := md5.Sum(data)
		sums.md5 = base64.StdEncoding.EncodeToString(sum[:])
	case "", "crc32c":
		sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
		sums.headers[crc32cHeader] = base64.StdEncoding.EncodeToString(sum)
	}
	if s.client.EndpointURL().Scheme == "http" {
		// Nothing but the signature of this keeps it as it is on its way.
		sum := sha256.Sum256(data)
		sums.sha256 = hex.EncodeToString(sum[:])
	}
	return sums
}

// s3Body is a request's body. Requests go on reading theirs for a while when
// they have ended early; once it is closed they get nothing more, and the bytes
// are their owner's again.
type s3Body struct {
	mu     sync.Mutex
	data   []byte
	next   int64
	closed bool
}

func (b *s3Body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, fs.ErrClosed
	}
	if b.next >= int64(len(b.data)) {
		return 0, io.EOF
	}
	n := copy(p, b.data[b.next:])
	b.next += int64(n)
	return n, nil
}

func (b *s3Body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.data = true, nil
	return nil
}

// partHeaders are those of a part's sums.
func (sums s3Sums) partHeaders() http.Header {
	header := http.Header{}
	for name, value := range sums.headers {
		header.Set(name, value)
	}
	return header
}

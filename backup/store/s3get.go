package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
)

// Stat describes the object.
func (s *S3) Stat(ctx context.Context, key string) (Info, error) {
	info, err := s.stat(ctx, key)
	if err != nil {
		return Info{}, fmt.Errorf("stat object %q: %w", key, err)
	}
	return info, nil
}

func (s *S3) stat(ctx context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	object, err := s.client.StatObject(ctx, s.config.Bucket, s.prefix+key, minio.StatObjectOptions{})
	if minio.ToErrorResponse(err).StatusCode == http.StatusNotFound {
		// That is all the answer to a HEAD can say. A GET's says what is missing:
		// the object, the bucket, or all of S3.
		r, info, err := s.get(ctx, key, 0, -1)
		if err == nil {
			r.Close()
		}
		return info, err
	}
	if err != nil {
		return Info{}, s.plain(ctx, err)
	}
	info, err := s.info(key, object)
	info.Size = object.Size
	return info, err
}

// Get reads from the object as it is when the server answers.
func (s *S3) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	err := CheckKey(key)
	var r io.ReadCloser
	var info Info
	if err == nil {
		r, info, err = s.get(ctx, key, offset, length)
	}
	if err != nil {
		return nil, Info{}, fmt.Errorf("get object %q: %w", key, err)
	}
	return r, info, nil
}

func (s *S3) get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	var options minio.GetObjectOptions
	switch {
	case length == 0, offset < 0 && length > 0:
		return s.getMeasured(ctx, key, offset, length) // S3 knows no such ranges
	case offset < 0:
		options.Set("Range", fmt.Sprintf("bytes=%d", offset))
	case length > 0 && offset <= math.MaxInt64-length:
		options.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		options.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	r, info, err := s.ask(ctx, key, options, offset, length)
	if errors.Is(err, ErrInvalid) {
		// The object is empty, or the range is as bad as the server says.
		return s.getMeasured(ctx, key, offset, length)
	}
	return r, info, err
}

// getMeasured asks for the object's size first.
func (s *S3) getMeasured(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	info, err := s.stat(ctx, key)
	if err != nil {
		return nil, Info{}, err
	}
	begin, n, err := cut(info.Size, offset, length)
	if err != nil {
		return nil, Info{}, err
	}
	if n == 0 {
		return http.NoBody, info, nil
	}
	var options minio.GetObjectOptions
	options.Set("Range", fmt.Sprintf("bytes=%d-%d", begin, begin+n-1))
	options.Set("If-Match", `"`+info.Version+`"`)
	r, info, err := s.ask(ctx, key, options, begin, n)
	if errors.Is(err, ErrExists) {
		err = errors.New("the object was replaced meanwhile")
	}
	return r, info, err
}

// ask sends the request, and looks whether the answer has the range.
func (s *S3) ask(ctx context.Context, key string, options minio.GetObjectOptions, offset, length int64) (io.ReadCloser, Info, error) {
	body, object, header, err := s.client.GetObject(ctx, s.config.Bucket, s.prefix+key, options)
	if err != nil {
		return nil, Info{}, s.plain(ctx, err)
	}
	info, err := s.info(key, object)
	if err == nil {
		info.Size, err = s.answersRange(header, object.Size, offset, length)
	}
	if err != nil {
		body.Close()
		return nil, Info{}, err
	}
	return &s3Reader{ctx: ctx, s: s, body: body, left: object.Size}, info, nil
}

// answersRange says how long the object is of which an answer has so many bytes.
// They are to be the range that was asked for.
func (s *S3) answersRange(header http.Header, bytes, offset, length int64) (int64, error) {
	begin, end, size := int64(0), bytes-1, bytes
	if said := header.Get("Content-Range"); said != "" {
		if _, err := fmt.Sscanf(strings.TrimSpace(said), "bytes %d-%d/%d", &begin, &end, &size); err != nil {
			return 0, &s3Error{text: fmt.Sprintf("%s answers with range %.80q", s.endpoint, said)}
		}
	}
	wantBegin, want, err := cut(size, offset, length)
	if err != nil {
		return 0, err
	}
	if bytes < 0 || begin != wantBegin || end+1-begin != want || bytes != want {
		return 0, &s3Error{text: fmt.Sprintf("%s answers with %d bytes from %d on of %d, not with %d from %d on", s.endpoint, bytes, begin, size, want, wantBegin)}
	}
	return size, nil
}

// s3Reader says io.EOF only when all has come.
type s3Reader struct {
	ctx  context.Context
	s    *S3
	body io.ReadCloser
	left int64
}

func (r *s3Reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.left -= int64(n)
	switch {
	case err == io.EOF && r.left > 0:
		err = io.ErrUnexpectedEOF
	case err != nil && err != io.EOF && r.ctx.Err() != nil:
		err = r.ctx.Err()
	}
	return n, err
}

func (r *s3Reader) Close() error { return r.body.Close() }

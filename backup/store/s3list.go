package store

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// List yields the objects whose keys begin with prefix, a page of a thousand at a
// time. What is under the store's prefix and can be no key is left out.
func (s *S3) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		fail := func(err error) { yield(Info{}, fmt.Errorf("list objects %q: %w", prefix, err)) }
		if err := CheckPrefix(prefix); err != nil {
			fail(err)
			return
		}
		last := ""
		options := minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true, FetchOwner: new(bool)}
		for object := range s.client.ListObjectsIter(ctx, s.config.Bucket, options) {
			if object.Err != nil {
				fail(s.plain(ctx, object.Err))
				return
			}
			key, ours := strings.CutPrefix(object.Key, s.prefix)
			if !ours || CheckKey(key) != nil {
				continue
			}
			if key <= last {
				fail(&s3Error{text: fmt.Sprintf("%s lists %q after %q, which is not the order of S3", s.endpoint, key, last)})
				return
			}
			last = key
			info := Info{Key: key, Size: object.Size, Time: object.LastModified, Version: object.ETag}
			if !yield(info, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			fail(err)
		}
	}
}

// leftover is how old an upload is that nobody is taken to write any more.
const leftover = 24 * time.Hour

// sweep aborts the uploads that killed writers have left.
func (s *S3) sweep(ctx context.Context) error {
	key, upload := "", ""
	for {
		page, err := s.client.ListMultipartUploads(ctx, s.config.Bucket, s.prefix, key, upload, "", 1000)
		if minio.ToErrorResponse(err).Code == minio.NotImplemented {
			return nil // then it is the server's business
		}
		if err != nil {
			return s.plain(ctx, err)
		}
		for _, u := range page.Uploads {
			if time.Since(u.Initiated) < leftover {
				continue
			}
			if err := s.abort(ctx, u.Key, u.UploadID); err != nil {
				return err
			}
		}
		if !page.IsTruncated || page.NextKeyMarker == key && page.NextUploadIDMarker == upload {
			return nil
		}
		key, upload = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

// abort removes an upload, whose key is the bucket's. That it is gone is no
// error.
func (s *S3) abort(ctx context.Context, key, upload string) error {
	err := s.client.AbortMultipartUpload(ctx, s.config.Bucket, key, upload)
	if minio.ToErrorResponse(err).Code == minio.NoSuchUpload {
		return nil
	}
	return s.plain(ctx, err)
}

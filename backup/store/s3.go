package store

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// S3 is a Store in a bucket of Amazon's S3 or of a server that speaks its
// protocol. Each call is one request, or a few, and none is tried twice: Retry is
// for that. Only what a stream sends is tried again here, since nobody else has
// it any more.
type S3 struct {
	config   S3Config
	endpoint string
	prefix   string // of keys in the bucket: empty, or with a slash at its end
	client   minio.Core
	sse      encrypt.ServerSide
	again    Retry // of a stream's own requests
}

// OpenS3 asks the server whether the bucket is there and may be read, and aborts
// the uploads that killed writers have left in it more than a day ago.
func OpenS3(ctx context.Context, config S3Config) (*S3, error) {
	s, err := NewS3(config)
	if err != nil {
		return nil, err
	}
	if err := s.again.do(ctx, func(try *try) error { return s.here(try.ctx) }); err != nil {
		return nil, fmt.Errorf("open store in bucket %q: %w", config.Bucket, err)
	}
	if err := s.again.do(ctx, func(try *try) error { return s.sweep(try.ctx) }); err != nil {
		return nil, fmt.Errorf("clean store in bucket %q: abort uploads that nobody has ended: %w", config.Bucket, err)
	}
	return s, nil
}

// NewS3 is OpenS3 without asking: for who reads an object or two and is gone.
func NewS3(config S3Config) (*S3, error) {
	s, err := newS3(config)
	if err != nil {
		return nil, fmt.Errorf("open store in bucket %q: %w", config.Bucket, err)
	}
	return s, nil
}

func newS3(config S3Config) (*S3, error) {
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("its URL %w", err)
	}
	s := &S3{config: config, endpoint: config.endpoint()}
	if config.Prefix != "" {
		s.prefix = config.Prefix + "/"
	}
	switch config.SSE {
	case "AES256":
		s.sse = encrypt.NewSSE()
	case "aws:kms":
		var err error
		if s.sse, err = encrypt.NewSSEKMS(config.KMSKey, nil); err != nil {
			return nil, err
		}
	}
	transport, err := config.transport()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s.endpoint)
	if err != nil {
		return nil, err
	}
	lookup := map[string]minio.BucketLookupType{"true": minio.BucketLookupPath, "false": minio.BucketLookupDNS}
	client, err := minio.NewCore(u.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(config.Credentials.AccessKey, config.Credentials.SecretKey, config.Credentials.SessionToken),
		Secure:       u.Scheme == "https",
		Transport:    transport,
		Region:       config.Region,
		BucketLookup: lookup[config.PathStyle],
		MaxRetries:   1, // a PutIfAbsent that is sent twice would find itself
	})
	if err != nil {
		return nil, err
	}
	client.SetAppInfo("howdah", "1")
	s.client = *client
	return s, nil
}

// transport is how the server is reached. How long an answer may take is the
// caller's business: the context's, or Retry's.
func (c *S3Config) transport() (*http.Transport, error) {
	authorities, err := c.authorities()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     time.Minute,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
		DisableCompression:  true, // or what is stored gzipped would not come as it is
	}, nil
}

// here lists one object: a list is answered with a text that says what is wrong.
func (s *S3) here(ctx context.Context) error {
	for object := range s.client.ListObjectsIter(ctx, s.config.Bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true, MaxKeys: 1, FetchOwner: new(bool)}) {
		return s.plain(ctx, object.Err)
	}
	return ctx.Err()
}

// Delete removes the object. In a bucket with versions it hides it.
func (s *S3) Delete(ctx context.Context, key string) error {
	err := CheckKey(key)
	if err == nil {
		err = s.plain(ctx, s.client.RemoveObject(ctx, s.config.Bucket, s.prefix+key, minio.RemoveObjectOptions{}))
	}
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("delete object %q: %w", key, err)
	}
	return nil
}

// info describes an object by what the server says of it. Size is for the caller
// to set.
func (s *S3) info(key string, object minio.ObjectInfo) (Info, error) {
	info := Info{Key: key, Time: object.LastModified, Version: object.ETag, Meta: map[string]string{}}
	if info.Version == "" {
		return Info{}, &s3Error{text: s.endpoint + " says no ETag of an object"}
	}
	for name, value := range object.UserMetadata {
		info.Meta[strings.ToLower(name)] = value
	}
	return info, nil
}

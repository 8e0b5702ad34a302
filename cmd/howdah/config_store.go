package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"howdah/backup/export"
	"howdah/backup/store"
)

// readStore looks at the store's URL, and makes what is in it absolute. A URL that
// may have a password in it is not repeated.
func (r *configReader) readStore(at func(name string) []string) {
	b := &r.config.Backup
	if strings.HasPrefix(b.Store, "s3:") {
		r.readBucket(at)
		return
	}
	if b.CredentialsFile != "" {
		r.wrong(at("credentials_file"), "remove it", "credentials_file is of no use where the store is no bucket")
	}
	folder, err := storeFolder(b.Store)
	if err != nil {
		r.wrong(at("store"), `write "file:///path/of/a/folder" or "s3://BUCKET/PREFIX"`, "store %q %v", b.Store, err)
		return
	}
	b.Store = (&url.URL{Scheme: "file", Path: r.absolute(folder)}).String()
}

// readBucket reads where a bucket is, and who asks for it.
func (r *configReader) readBucket(at func(name string) []string) {
	b := &r.config.Backup
	bucket, err := store.ParseS3URL(b.Store)
	if err != nil {
		r.wrong(at("store"), `write "s3://BUCKET/PREFIX?endpoint=https://HOST:PORT&region=REGION"`, "the URL in store %v", err)
		return
	}
	r.openable(at("store"), "ca_file", &bucket.CAFile)
	if b.CredentialsFile == "" {
		bucket.Credentials = store.S3Credentials{
			AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
		}
		if !r.isWrong(at("credentials_file")) && (bucket.Credentials.AccessKey == "" || bucket.Credentials.SecretKey == "") {
			r.wrong(at("store"), "give credentials_file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment", "nobody is named who asks for bucket %q", bucket.Bucket)
		}
	} else {
		bucket.Credentials = r.readCredentials(at("credentials_file"))
	}
	b.bucket = &openBucket{config: bucket, counts: b.counts}
}

// readCredentials reads credentials_file.
func (r *configReader) readCredentials(at []string) store.S3Credentials {
	b := &r.config.Backup
	b.CredentialsFile = r.absolute(b.CredentialsFile)
	text, err := readKeyFile(b.CredentialsFile)
	var c store.S3Credentials
	if err == nil {
		c, err = store.ParseS3Credentials(text)
	}
	switch {
	case errors.Is(err, errReadableKey):
		r.wrong(at, "chmod 600 it", "others than its owner may use credentials_file %q", b.CredentialsFile)
	case err != nil:
		r.wrong(at, "write aws_access_key_id = … and aws_secret_access_key = … into it", "credentials_file %q: %v", b.CredentialsFile, err)
	}
	return c
}

// storeFolder returns the folder that a store's URL means.
func storeFolder(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "":
		return "", errors.New("is no URL")
	case u.Scheme != "file":
		return "", fmt.Errorf("is of a kind, %q, that there is not", u.Scheme)
	case u.Host != "" && u.Host != "localhost" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", errors.New("has more than a path")
	case u.Opaque != "":
		return url.PathUnescape(u.Opaque)
	case u.Path == "" || u.Path == "/":
		return "", errors.New("has no path")
	}
	return u.Path, nil
}

// exportPlace opens where exports are kept; nil is nowhere.
func (c *Config) exportPlace() (*export.Place, error) {
	s, err := c.openStore()
	return c.placeIn(s, err)
}

// exportsToRead is exportPlace for who writes nothing.
func (c *Config) exportsToRead() (*export.Place, error) {
	s, err := c.storeToRead()
	return c.placeIn(s, err)
}

func (c *Config) placeIn(s store.Store, err error) (*export.Place, error) {
	if s == nil || err != nil {
		return nil, err
	}
	return &export.Place{Store: s, Sealer: c.Sealer}, nil
}

// openStore opens the store, removes what crashes have left in it, and sees to it
// that it can be written to safely; nil is none.
func (c *Config) openStore() (store.Store, error) {
	switch {
	case c.Backup.Store == "":
		return nil, nil
	case c.Backup.bucket != nil:
		return c.Backup.bucket.open()
	}
	folder, err := storeFolder(c.Backup.Store)
	if err != nil {
		return nil, err
	}
	dir, err := store.OpenDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w; `howdah backup init` makes a new one", err)
	}
	if err != nil {
		return nil, err
	}
	return tried(dir, c.Backup.counts), nil
}

// tried is a store of which each call is counted, and tried again if it fails.
func tried(s store.Store, counts *store.Counts) store.Store {
	return &store.Retry{Store: &store.Meter{Store: s, Counts: counts}}
}

// storeToRead is openStore for who writes nothing: a bucket is asked for nothing
// but the objects.
func (c *Config) storeToRead() (store.Store, error) {
	if c.Backup.bucket == nil {
		return c.openStore()
	}
	s, err := store.NewS3(c.Backup.bucket.config)
	if err != nil {
		return nil, err
	}
	return tried(s, c.Backup.counts), nil
}

// openBucket keeps a bucket open, with its connections.
type openBucket struct {
	config store.S3Config
	counts *store.Counts

	mu    sync.Mutex
	tried time.Time   // when it was opened last, or failed to; 0 = never
	store store.Store // nil if it failed
	err   error
}

const (
	openTime       = 30 * time.Second // that a server has to answer
	openAgainAfter = 12 * time.Hour   // to look for what crashes have left since
	failAgainAfter = 5 * time.Second  // so that not all who wait try one after the other
)

func (b *openBucket) open() (store.Store, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	age := time.Since(b.tried)
	if b.tried.IsZero() || b.err != nil && age > failAgainAfter || age > openAgainAfter {
		b.store, b.err = b.openNow()
		b.tried = time.Now()
	}
	return b.store, b.err
}

func (b *openBucket) openNow() (store.Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	s, err := store.OpenS3(ctx, b.config)
	if err != nil {
		return nil, err
	}
	retry := tried(s, b.counts)
	// Who may not write can still read.
	if err := b.probe(ctx, retry); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	return retry, nil
}

// probe tries whether the bucket can be written to safely.
func (b *openBucket) probe(ctx context.Context, s store.Store) error {
	err := store.CheckPutIfAbsent(ctx, s)
	if errors.Is(err, store.ErrNotExclusive) {
		return fmt.Errorf("the server of bucket %q ignores If-None-Match, so that two who write would overwrite each other: it takes a newer version of it, or another server: %w", b.config.Bucket, err)
	}
	return err
}

// tryOut says where the bucket is if it can be read and written.
func (b *openBucket) tryOut() (where string, err error) {
	s, err := b.open()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	return fmt.Sprintf("bucket %q", b.config.Bucket), b.probe(ctx, s)
}

// storeStats are what the store was asked for since the configuration was read.
func (c *Config) storeStats() store.MeterStats {
	if c.Backup.counts == nil {
		return store.MeterStats{}
	}
	return c.Backup.counts.Stats()
}

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

	"howdah/backup/store"
)

// leastRate is the least that a store may be read or written with.
const leastRate = 32 << 10

// readStore looks at a store's URL, and makes what is in it absolute. A URL that
// may have a password in it is not repeated.
func (r *configReader) readStore(s *Store, at func(name string) []string) {
	s.counts, s.rates = &store.Counts{}, store.NewRates(s.ReadRate, s.WriteRate)
	for name, bytes := range map[string]int64{"read_rate": s.ReadRate, "write_rate": s.WriteRate} {
		if bytes > 0 && bytes < leastRate {
			r.wrong(at(name), "write 32kB or more, or 0 for no limit", "%s is so little that nothing would come to an end", name)
		}
	}
	if strings.HasPrefix(s.URL, "s3:") {
		r.readBucket(s, at)
		return
	}
	if s.CredentialsFile != "" {
		r.wrong(at("credentials_file"), "remove it", "credentials_file is of no use where the store is no bucket")
	}
	folder, err := storeFolder(s.URL)
	if err != nil {
		r.wrong(at("store"), `write "file:///path/of/a/folder" or "s3://BUCKET/PREFIX"`, "store %q %v", s.URL, err)
		return
	}
	s.URL = (&url.URL{Scheme: "file", Path: r.absolute(folder)}).String()
}

// readBucket reads where a bucket is, and who asks for it.
func (r *configReader) readBucket(s *Store, at func(name string) []string) {
	bucket, err := store.ParseS3URL(s.URL)
	if err != nil {
		r.wrong(at("store"), `write "s3://BUCKET/PREFIX?endpoint=https://HOST:PORT&region=REGION"`, "the URL in %s %v", at("store")[len(at("store"))-1], err)
		return
	}
	r.openable(at("store"), "ca_file", &bucket.CAFile)
	if s.CredentialsFile == "" {
		bucket.Credentials = store.S3Credentials{
			AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
		}
		if !r.isWrong(at("credentials_file")) && (bucket.Credentials.AccessKey == "" || bucket.Credentials.SecretKey == "") {
			r.wrong(at("store"), "give credentials_file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment", "nobody is named who asks for bucket %q", bucket.Bucket)
		}
	} else {
		bucket.Credentials = r.readCredentials(s, at("credentials_file"))
	}
	s.bucket = &openBucket{config: bucket, counts: s.counts, rates: s.rates}
}

// readCredentials reads credentials_file.
func (r *configReader) readCredentials(s *Store, at []string) store.S3Credentials {
	s.CredentialsFile = r.absolute(s.CredentialsFile)
	text, err := readKeyFile(s.CredentialsFile)
	var c store.S3Credentials
	if err == nil {
		c, err = store.ParseS3Credentials(text)
	}
	switch {
	case errors.Is(err, errReadableKey):
		r.wrong(at, "chmod 600 it", "others than its owner may use credentials_file %q", s.CredentialsFile)
	case err != nil:
		r.wrong(at, "write aws_access_key_id = … and aws_secret_access_key = … into it", "credentials_file %q: %v", s.CredentialsFile, err)
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

// open opens the store, removes what crashes have left in it, and sees to it
// that it can be written to safely.
func (s *Store) open() (store.Store, error) {
	if s.bucket != nil {
		return s.bucket.open()
	}
	folder, err := storeFolder(s.URL)
	if err != nil {
		return nil, err
	}
	dir, err := s.counts.Open(context.Background(), func() (store.Store, error) { return store.OpenDir(folder) })
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w; `howdah backup init` makes a new one", err)
	}
	if err != nil {
		return nil, err
	}
	return tried(dir, s.counts, s.rates), nil
}

// tried is a store of which each call is counted, and tried again if it fails, and that is
// read and written no faster than it may be.
func tried(s store.Store, counts *store.Counts, rates *store.Rates) store.Store {
	return &store.Limit{Store: &store.Retry{Store: &store.Meter{Store: s, Counts: counts}}, Rates: rates}
}

// openToRead is open for who writes nothing: a bucket is asked for nothing
// but the objects.
func (s *Store) openToRead() (store.Store, error) {
	if s.bucket == nil {
		return s.open()
	}
	in, err := store.NewS3(s.bucket.config)
	if err != nil {
		return nil, err
	}
	return tried(in, s.counts, s.rates), nil
}

// openBucket keeps a bucket open, with its connections.
type openBucket struct {
	config store.S3Config
	counts *store.Counts
	rates  *store.Rates

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
	s, err := b.counts.Open(ctx, func() (store.Store, error) {
		s, err := store.OpenS3(ctx, b.config)
		if err != nil {
			return nil, err
		}
		// Who may not write can still read: that is no failure, of a put neither.
		if err := b.probe(ctx, &store.Retry{Store: s}); err != nil && !errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		return s, nil
	})
	if err != nil {
		return nil, err
	}
	return tried(s, b.counts, b.rates), nil
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

// keepStores has the stores that are where they were before be counted, and limited, with them: who
// has opened one under the configuration before goes on with that.
func (c *Config) keepStores(before *Config) {
	for _, s := range c.stores() {
		old := before.storeNamed(s.Name)
		if old == nil || old.URL != s.URL {
			continue
		}
		s.counts = old.counts
		if old.ReadRate == s.ReadRate && old.WriteRate == s.WriteRate {
			s.rates = old.rates
		}
		if s.bucket != nil {
			s.bucket.counts, s.bucket.rates = s.counts, s.rates
		}
	}
}

// storeStats are what each store was asked for since there is one of its name there.
func (c *Config) storeStats() map[string]store.MeterStats {
	all := map[string]store.MeterStats{}
	for _, s := range c.stores() {
		all[s.Name] = s.counts.Stats()
	}
	return all
}

// fetched is how many bytes of objects came from the stores.
func (c *Config) fetched() (n int64) {
	for _, stats := range c.storeStats() {
		n += int64(stats.Get.Bytes)
	}
	return n
}

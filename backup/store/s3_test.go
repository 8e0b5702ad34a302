package store_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"howdah/backup/store"
	"howdah/backup/store/storetest"
)

func TestS3(t *testing.T) {
	t.Parallel()
	var server *storetest.S3
	var stores atomic.Int64
	create := func(sub *testing.T) string {
		if server == nil {
			server = storetest.StartS3(t)
		}
		return server.URL(sub, "conformance", fmt.Sprintf("store/%d", stores.Add(1)))
	}
	storetest.Run(t, create, func(t *testing.T, where string) store.Store { return storetest.OpenS3(t, where) })
}

// TestS3More has the tests that share another server.
func TestS3More(t *testing.T) {
	t.Parallel()
	server := storetest.StartS3(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *storetest.S3)
	}{
		{"BadNetwork", testS3BadNetwork},
		{"FinalAnswersAreAskedForOnce", testS3FinalAnswers},
		{"Stall", testS3Stall},
		{"ChangedOnItsWay", testS3ChangedOnItsWay},
		{"StreamsInParts", testS3StreamsInParts},
		{"StreamsSurvive", testS3StreamsSurvive},
		{"Leftovers", testS3Leftovers},
		{"Mistakes", testS3Mistakes},
		{"Headers", testS3Headers},
		{"PutIfAbsentIsKept", testS3PutIfAbsentIsKept},
		{"ServerIsKilled", testS3ServerIsKilled},
		{"ReadOnly", testS3ReadOnly},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, server) })
	}
}

// testS3BadNetwork has one request of each call meet with each fault: behind
// Retry nobody notices.
func testS3BadNetwork(t *testing.T, server *storetest.S3) {
	p, s := throughProxy(t, server)
	retry := &store.Retry{Store: s, Pause: time.Millisecond}
	big := strings.Repeat("0123456789abcdef", 1<<14)
	for i, f := range []fault{slowDown, serverError, resetBefore, resetAfter} {
		t.Run(string(f), func(t *testing.T) {
			key := fmt.Sprint("k", i)
			hit := func(call string, match func(*http.Request) bool, do func() error) {
				t.Helper()
				p.breaks(nth(1, f, match))
				if err := do(); err != nil {
					t.Errorf("%s: %v", call, err)
				}
				if n := len(p.requests()); n < 2 {
					t.Errorf("%s: %d requests, of which one has failed", call, n)
				}
			}
			any := func(*http.Request) bool { return true }
			hit("Put", isPut, func() error { return retry.Put(t.Context(), key, []byte(big), map[string]string{"n": "1"}) })
			hit("PutIfAbsent", isPut, func() error { return retry.PutIfAbsent(t.Context(), key+"a", []byte(big), nil) })
			hit("Stat", any, func() error {
				info, err := retry.Stat(t.Context(), key)
				if err == nil && info.Size != int64(len(big)) {
					return fmt.Errorf("it says %+v", info)
				}
				return err
			})
			hit("Get", isGet, func() error { return wantRead(t.Context(), retry, key, big) })
			hit("List", isList, func() error { return wantListed(t.Context(), retry, key, key, key+"a") })
			hit("Create", isPut, func() error {
				w, err := retry.Create(t.Context(), key+"s", nil)
				if err != nil {
					return err
				}
				defer w.Abort()
				_, err = io.WriteString(w, big)
				return errors.Join(err, w.Close(), wantRead(t.Context(), retry, key+"s", big))
			})
			hit("Delete", any, func() error { return retry.Delete(t.Context(), key) })
		})
	}
	p.breaks(nth(1, cutAnswer, isGet))
	mustPut(t, retry, "cut", big)
	if err := wantRead(t.Context(), retry, "cut", big); err != nil {
		t.Errorf("half an answer: %v", err)
	}
	if got := p.requests(); !slices.Equal(got, []string{"PUT", "GET", "GET"}) {
		t.Errorf("half an answer makes requests %q", got)
	}
}

func wantRead(ctx context.Context, s store.Store, key, want string) error {
	r, _, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err == nil && string(got) != want {
		return fmt.Errorf("read %d bytes that are not the %d that were put", len(got), len(want))
	}
	return err
}

func wantListed(ctx context.Context, s store.Store, prefix string, want ...string) error {
	var keys []string
	for info, err := range s.List(ctx, prefix) {
		if err != nil {
			return err
		}
		keys = append(keys, info.Key)
	}
	if !slices.Equal(keys, want) {
		return fmt.Errorf("List yields %q, want %q", keys, want)
	}
	return nil
}

func testS3FinalAnswers(t *testing.T, server *storetest.S3) {
	p, s := throughProxy(t, server)
	retry := &store.Retry{Store: s, Pause: time.Millisecond}
	mustPut(t, retry, "k", "0123456789")
	want := func(call string, err, is error, requests ...string) {
		t.Helper()
		if !errors.Is(err, is) {
			t.Errorf("%s: %v, want %v", call, err, is)
		}
		if got := p.requests(); !slices.Equal(got, requests) {
			t.Errorf("%s makes requests %q, want %q", call, got, requests)
		}
		p.breaks(nil)
	}
	p.breaks(nil)
	_, _, err := retry.Get(t.Context(), "none", 0, -1)
	want("Get of none", err, store.ErrNotFound, "GET")
	_, err = retry.Stat(t.Context(), "none")
	want("Stat of none", err, store.ErrNotFound, "HEAD", "GET")
	want("PutIfAbsent", retry.PutIfAbsent(t.Context(), "k", []byte("x"), nil), store.ErrExists, "PUT")
	_, _, err = retry.Get(t.Context(), "k", 10, -1)
	want("Get beyond", err, store.ErrInvalid, "GET", "HEAD")
	want("Put below an object", retry.Put(t.Context(), "k/below", []byte("x"), nil), store.ErrInvalid, "PUT")
	want("Put of no key", retry.Put(t.Context(), "../k", []byte("x"), nil), store.ErrInvalid)
}

func testS3Stall(t *testing.T, server *storetest.S3) {
	p, s := throughProxy(t, server)
	retry := &store.Retry{Store: s, Pause: time.Millisecond, Stall: 200 * time.Millisecond, Tries: 2}
	p.breaks(func(*http.Request) fault { return hangs })
	if err := retry.Put(t.Context(), "k", make([]byte, 1<<20), nil); err == nil || !strings.Contains(err.Error(), "stalled") {
		t.Errorf("Put to a store that hangs: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, _, err := s.Get(ctx, "k", 0, -1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Get from a store that hangs: %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("Get takes %v after its context was done", took)
	}
}

// testS3ChangedOnItsWay has a bit of what is put flipped: the server sees it by
// the checksum, and it is put again.
func testS3ChangedOnItsWay(t *testing.T, server *storetest.S3) {
	for _, checksum := range []string{"crc32c", "md5", "none"} {
		t.Run(checksum, func(t *testing.T) {
			p, s := throughProxy(t, server, "checksum="+checksum)
			retry := &store.Retry{Store: s, Pause: time.Millisecond}
			text := strings.Repeat("invoice 1042 ", 1000)
			changed := checksum == "none" // and so there is one by which the test can fail
			p.breaks(nth(1, flippedBit, isPut))
			mustPut(t, retry, "put", text)
			if err := wantRead(t.Context(), retry, "put", text); (err != nil) != changed {
				t.Errorf("Put: %v", err)
			}
			p.breaks(nth(2, flippedBit, isPut))
			big := strings.Repeat(text, 1000)
			w, err := retry.Create(t.Context(), "stream", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			if _, err := io.WriteString(w, big); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err := wantRead(t.Context(), retry, "stream", big); (err != nil) != changed {
				t.Errorf("a stream's part: %v", err)
			}
		})
	}
}

func testS3StreamsInParts(t *testing.T, server *storetest.S3) {
	p, s := throughProxy(t, server)
	random := rand.NewChaCha8([32]byte{7})
	for _, test := range []struct {
		bytes int
		want  []string
	}{
		{0, []string{"PUT"}},
		{8 << 20, []string{"PUT"}},
		{8<<20 + 1, []string{"POST uploads", "PUT uploadId", "PUT uploadId", "POST uploadId"}},
		{24 << 20, []string{"POST uploads", "PUT uploadId", "PUT uploadId", "PUT uploadId", "POST uploadId"}},
	} {
		data := make([]byte, test.bytes)
		random.Read(data)
		p.breaks(nil)
		w, err := s.Create(t.Context(), "k", map[string]string{"by": "stream"})
		if err != nil {
			t.Fatal(err)
		}
		scrap := make([]byte, 1<<20) // which is written over at once
		for rest := data; len(rest) > 0; {
			n := copy(scrap, rest[:min(len(rest), 1+int(random.Uint64()%uint64(len(scrap))))])
			if _, err := w.Write(scrap[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := p.requests(); !slices.Equal(got, test.want) {
			t.Errorf("%d bytes make requests %q, want %q", test.bytes, got, test.want)
		}
		r, info, err := s.Get(t.Context(), "k", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(got, data) || info.Meta["by"] != "stream" {
			t.Errorf("%d bytes are read as %d others, %v, %v", test.bytes, len(got), info.Meta, err)
		}
	}
}

// testS3StreamsSurvive has each request of a multipart upload fail once.
func testS3StreamsSurvive(t *testing.T, server *storetest.S3) {
	p, s := throughProxy(t, server)
	big := strings.Repeat("0123456789abcdef", 17<<16)
	uploads := func(r *http.Request) bool { return r.Method != http.MethodGet }
	for n := 1; n <= 5; n++ {
		f := []fault{slowDown, resetBefore, resetAfter, serverError, slowDown}[n-1]
		p.breaks(nth(n, f, uploads))
		w, err := s.Create(t.Context(), "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(w, big)
		if err := errors.Join(err, w.Close()); err != nil {
			t.Errorf("request %d is %s: %v", n, f, err)
		}
		w.Abort()
		if got := len(p.requests()); got != 6 {
			t.Errorf("request %d is %s: %d requests, want 6", n, f, got)
		}
		if err := wantRead(t.Context(), s, "k", big); err != nil {
			t.Errorf("request %d is %s: %v", n, f, err)
		}
	}
}

// uploadsIn returns the folders in which the server keeps the parts of uploads.
func uploadsIn(t *testing.T, server *storetest.S3, bucket string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(server.Data, bucket, ".sgwtmp", "multipart", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(found, func(path string) bool {
		stat, err := os.Stat(path)
		return err != nil || !stat.IsDir()
	})
}

// wantPart waits until the first part of an upload has arrived.
func wantPart(t *testing.T, upload string) {
	t.Helper()
	for range 200 {
		if _, err := os.Stat(filepath.Join(upload, "1")); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no part of upload %s arrives in 10 seconds", upload)
}

// testS3Leftovers leaves uploads behind as killed writers do.
func testS3Leftovers(t *testing.T, server *storetest.S3) {
	where := server.URL(t, "leftovers", "ours")
	other := storetest.OpenS3(t, server.URL(t, "leftovers", "ours-too"))
	s := storetest.OpenS3(t, where)
	begin := func(s store.Store, key string) store.Writer {
		w, err := s.Create(t.Context(), key, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, 9<<20)); err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := begin(s, "aborted")
	if n := len(uploadsIn(t, server, "leftovers")); n != 1 {
		t.Fatalf("a stream of 9 MiB is %d uploads", n)
	}
	w.Abort()
	if n := len(uploadsIn(t, server, "leftovers")); n != 0 {
		t.Fatalf("an aborted stream leaves %d uploads", n)
	}
	killed := begin(s, "killed")
	defer killed.Abort()
	old := uploadsIn(t, server, "leftovers")
	wantPart(t, old[0])
	for _, w := range []store.Writer{begin(s, "alive"), begin(other, "others")} {
		defer w.Abort()
	}
	past := time.Now().Add(-25 * time.Hour)
	for _, path := range old {
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
	}
	storetest.OpenS3(t, where)
	if left := uploadsIn(t, server, "leftovers"); len(left) != 2 || slices.Contains(left, old[0]) {
		t.Errorf("of an old upload %q and two others there are still %q", old, left)
	}
	if err := killed.Close(); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "it was aborted") {
		t.Errorf("a stream whose upload is gone: %v", err)
	}
}

// testS3Mistakes looks for what is wrong before anything is done.
func testS3Mistakes(t *testing.T, server *storetest.S3) {
	web := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	webCA := newBadProxy(t, server).url(t, server.URL(t, "mistakes", ""))
	good, err := store.ParseS3URL(server.URL(t, "mistakes", "p"))
	if err != nil {
		t.Fatal(err)
	}
	good.Credentials = storetest.S3Credentials()
	ofWeb, err := store.ParseS3URL(webCA)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(c *store.S3Config)
		final  bool
		want   string
	}{
		"bucket":        {func(c *store.S3Config) { c.Bucket = "no-such-bucket" }, true, `there is no bucket "no-such-bucket"`},
		"access key":    {func(c *store.S3Config) { c.Credentials.AccessKey = "nobody" }, true, "does not know the access key"},
		"secret key":    {func(c *store.S3Config) { c.Credentials.SecretKey = "wrong-secret" }, true, "the secret key is not the access key's"},
		"no authority":  {func(c *store.S3Config) { c.CAFile = "" }, true, "give ca_file"},
		"no CA file":    {func(c *store.S3Config) { c.CAFile = "/none" }, true, "no such file"},
		"region":        {func(c *store.S3Config) { c.Region = "eu-west-7" }, true, "is in another region"},
		"no S3":         {func(c *store.S3Config) { c.Endpoint, c.CAFile = web.URL, ofWeb.CAFile }, true, "is it an S3 server?"},
		"no encryption": {func(c *store.S3Config) { c.Endpoint = "https://" + strings.TrimPrefix(plain.URL, "http://") }, true, "does not encrypt"},
		"nobody there":  {func(c *store.S3Config) { c.Endpoint = "https://127.0.0.1:1" }, false, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := good
			test.change(&c)
			_, err := store.OpenS3(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), c.Credentials.SecretKey) {
				t.Fatalf("%v, want %q", err, test.want)
			}
			if test.final != (errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist)) || strings.Contains(err.Error(), "tries") == test.final {
				t.Errorf("%v: final %v, want %v", err, !test.final, test.final)
			}
			if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) {
				t.Errorf("%v: it looks like an answer about an object", err)
			}
		})
	}
	t.Run("bucket that goes away", func(t *testing.T) {
		s := storetest.OpenS3(t, server.URL(t, "goes-away", "p"))
		if err := os.RemoveAll(filepath.Join(server.Data, "goes-away")); err != nil {
			t.Fatal(err)
		}
		for call, do := range calls(t.Context(), s) {
			err := do()
			if call == "Create" {
				continue // which asks for nothing yet
			}
			if errors.Is(err, store.ErrNotFound) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "there is no bucket") {
				t.Errorf("%s: %v", call, err)
			}
		}
	})
}

// testS3Headers looks at what goes with an object.
func testS3Headers(t *testing.T, server *storetest.S3) {
	p, s := throughProxy(t, server, "storage_class=STANDARD_IA", "sse=aws:kms", "kms_key=key-1", "lock=COMPLIANCE", "lock_days=30")
	p.breaks(func(*http.Request) fault { return slowDown }) // the server knows none of these
	if err := s.Put(t.Context(), "k", []byte("123456789"), map[string]string{"content-type": "x"}); err == nil {
		t.Fatal("a request that has failed has not")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, want := range map[string]string{
		"X-Amz-Storage-Class":                         "STANDARD_IA",
		"X-Amz-Server-Side-Encryption":                "aws:kms",
		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key-1",
		"X-Amz-Object-Lock-Mode":                      "COMPLIANCE",
		"X-Amz-Object-Lock-Retain-Until-Date":         time.Now().AddDate(0, 0, 30).UTC().Format("2006-01-02"),
		"X-Amz-Checksum-Crc32c":                       "4waSgw==", // the check value of CRC-32C
		"X-Amz-Meta-Content-Type":                     "x",
		"Content-Type":                                "application/octet-stream",
	} {
		if got := p.header.Get(name); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func testS3PutIfAbsentIsKept(t *testing.T, server *storetest.S3) {
	s := storetest.OpenS3(t, server.URL(t, "probed", "p"))
	if err := store.CheckPutIfAbsent(t.Context(), s); err != nil {
		t.Error(err)
	}
	if err := wantListed(t.Context(), s, ""); err != nil {
		t.Errorf("the probe leaves something: %v", err)
	}
}

// testS3ServerIsKilled has the server die and come back while Retry waits.
func testS3ServerIsKilled(t *testing.T, server *storetest.S3) {
	s := &store.Retry{Store: storetest.OpenS3(t, server.URL(t, "killed", "p")), Tries: 10, Pause: 50 * time.Millisecond}
	mustPut(t, s, "before", "1")
	server.Kill()
	put := make(chan error)
	go func() { put <- s.Put(t.Context(), "during", []byte("2"), nil) }()
	time.Sleep(100 * time.Millisecond)
	server.Start(t)
	if err := <-put; err != nil {
		t.Errorf("put while the server was away: %v", err)
	}
	if err := wantListed(t.Context(), s, "", "before", "during"); err != nil {
		t.Error(err)
	}
}

// testS3ReadOnly looks at a store from which its user may only read.
func testS3ReadOnly(t *testing.T, server *storetest.S3) {
	where := server.URL(t, "read-only", "p")
	mustPut(t, storetest.OpenS3(t, where), "k", "x")
	restart := func(readOnly bool) {
		server.Kill()
		server.ReadOnly = readOnly
		server.Start(t)
	}
	restart(true)
	defer restart(false)
	s := &store.Retry{Store: storetest.OpenS3(t, where)}
	if err := errors.Join(wantRead(t.Context(), s, "k", "x"), wantListed(t.Context(), s, "", "k")); err != nil {
		t.Error(err)
	}
	stream := func() error {
		w, err := s.Create(t.Context(), "k", nil)
		if err != nil {
			return err
		}
		defer w.Abort()
		_, err = w.Write(make([]byte, 9<<20))
		return errors.Join(err, w.Close())
	}
	for call, err := range map[string]error{
		"Put":         s.Put(t.Context(), "k", []byte("y"), nil),
		"PutIfAbsent": s.PutIfAbsent(t.Context(), "new", []byte("y"), nil),
		"Delete":      s.Delete(t.Context(), "k"),
		"Create":      stream(),
		"probe":       store.CheckPutIfAbsent(t.Context(), s),
	} {
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(fmt.Sprint(err), `does not allow that for bucket "read-only"`) || strings.Contains(fmt.Sprint(err), "tries") {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// TestS3ObjectLock keeps objects in a bucket with versions, for a day at least.
func TestS3ObjectLock(t *testing.T) {
	t.Parallel()
	server := storetest.StartS3(t, "--versioning-dir", t.TempDir())
	client := rawClient(t, server)
	if err := client.MakeBucket(t.Context(), "locked", minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		t.Fatal(err)
	}
	s := storetest.OpenS3(t, server.URL(t, "locked", "p", "lock=COMPLIANCE", "lock_days=1"))
	mustPut(t, s, "k", "first")
	mustPut(t, s, "k", "second")
	w, err := s.Create(t.Context(), "stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	_, err = w.Write(make([]byte, 9<<20))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(wantRead(t.Context(), s, "k", "second"), wantListed(t.Context(), s, "", "k", "stream")); err != nil {
		t.Error(err)
	}
	versions := 0
	for object := range client.ListObjectsIter(t.Context(), "locked", minio.ListObjectsOptions{WithVersions: true, Recursive: true}) {
		if object.Err != nil {
			t.Fatal(object.Err)
		}
		versions++
		err := client.RemoveObject(t.Context(), "locked", object.Key, minio.RemoveObjectOptions{VersionID: object.VersionID})
		if err == nil || !strings.Contains(err.Error(), "protected") {
			t.Errorf("a version of %q is removed: %v", object.Key, err)
		}
	}
	if versions != 3 {
		t.Errorf("there are %d versions, want 3", versions)
	}
	for _, key := range []string{"k", "stream"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete(%q): %v", key, err)
		}
	}
	if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an object that is hidden: %v", err)
	}
	if err := errors.Join(wantListed(t.Context(), s, ""), s.Put(t.Context(), "k", []byte("third"), nil), wantRead(t.Context(), s, "k", "third")); err != nil {
		t.Error(err)
	}
}

// rawClient is a client that knows more of S3 than a store.
func rawClient(t *testing.T, server *storetest.S3) *minio.Client {
	t.Helper()
	text, err := os.ReadFile(server.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(text)
	c := storetest.S3Credentials()
	client, err := minio.New(strings.TrimPrefix(server.Endpoint, "https://"), &minio.Options{
		Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Secure: true, Region: "us-east-1",
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

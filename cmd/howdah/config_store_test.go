package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"howdah/backup/store"
	"howdah/backup/store/storetest"
	"howdah/tenants"
)

func TestBucketIsCheckedAtStart(t *testing.T) {
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	const keys = "aws_access_key_id = AK\naws_secret_access_key = CORRECTHORSE\n"
	for name, c := range map[string]struct {
		url, keys, want string
		mode            os.FileMode
	}{
		"good":          {"s3://bucket/p", keys, "", 0o600},
		"others read":   {"s3://bucket", keys, "howdah.toml:4: others than its owner may use credentials_file", 0o640},
		"no keys":       {"s3://bucket", "CORRECTHORSE", "howdah.toml:4: credentials_file", 0o600},
		"half the keys": {"s3://bucket", "aws_secret_access_key = CORRECTHORSE", "there are no aws_access_key_id and", 0o600},
		"option":        {"s3://bucket?regoin=x", keys, `howdah.toml:2: the URL in store has an unknown option "regoin"`, 0o600},
		"no CA":         {"s3://bucket?ca_file=none.pem", keys, "none.pem", 0o600},
		"http":          {"s3://bucket?endpoint=http://h", keys, "without encryption", 0o600},
		"S3 itself":     {"s3://", keys, "names no bucket", 0o600},
	} {
		path := writeFile(t, "howdah.toml", fmt.Sprintf("[backup]\nstore = %q\nrecipients = [%q]\ncredentials_file = \"keys\"\n", c.url, recipient)+good)
		writeBeside(t, path, "keys", c.keys)
		if err := os.Chmod(filepath.Join(filepath.Dir(path), "keys"), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadConfig(path)
		switch {
		case c.want == "" && err == nil:
		case c.want == "" || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "CORRECTHORSE"):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AK")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "CORRECTHORSE")
	config, err := loadWithKey(t, strings.Replace(fmt.Sprintf(backupSection, recipient), "file:store", "s3://bucket", 1)+good, identity, 0o600)
	if err != nil || config.main.bucket.config.Credentials.SecretKey != "CORRECTHORSE" {
		t.Errorf("credentials in the environment: %v", err)
	}
}

// TestBucketThatReplacesIsRefused opens a bucket of a server that says yes to every
// PUT.
func TestBucketThatReplacesIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Has("uploads"):
			io.WriteString(w, "<ListMultipartUploadsResult></ListMultipartUploadsResult>")
		case r.Method == http.MethodGet:
			io.WriteString(w, "<ListBucketResult></ListBucketResult>")
		case r.Method == http.MethodPut:
			w.Header().Set("ETag", `"1"`)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "AK")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "CORRECTHORSE")
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	url := "s3://bucket?insecure=true&region=x&endpoint=" + server.URL
	config, err := loadWithKey(t, strings.Replace(fmt.Sprintf(backupSection, recipient), "file:store", url, 1)+good, identity, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.mainStore().place((*Store).open); !errors.Is(err, store.ErrNotExclusive) || !strings.Contains(err.Error(), "ignores If-None-Match") {
		t.Errorf("%v, want ErrNotExclusive", err)
	}
}

// TestExportsInABucket stores an export in a real bucket, reads it and removes it.
func TestExportsInABucket(t *testing.T) {
	server := storetest.StartS3(t)
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	credentials := storetest.S3Credentials()
	configure := func(url, secret string) string {
		path := writeFile(t, "howdah.toml", strings.Replace(fmt.Sprintf(backupSection, recipient), "file:store", url, 1)+"credentials_file = \"keys\"\n"+good)
		writeBeside(t, path, "key", identity)
		writeBeside(t, path, "keys", fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", credentials.AccessKey, secret))
		for _, name := range []string{"key", "keys"} {
			if err := os.Chmod(filepath.Join(filepath.Dir(path), name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	path := configure(server.URL(t, "exports", "eu/howdah"), credentials.SecretKey)
	give := func(want int, says string, args ...string) {
		t.Helper()
		code, out, said := runCommand(t, append(args, "-c", path)...)
		if code != want || !strings.Contains(out+said, says) || strings.Contains(out+said, credentials.SecretKey) {
			t.Errorf("howdah %s: exit code %d, %q, %q", strings.Join(args, " "), code, out, said)
		}
	}
	give(exitDone, `there is a store in bucket "exports"`, "backup", "init")
	give(exitDone, "[]", "export", "list", "--json")
	id := storeExport(t, path)
	give(exitDone, id, "export", "list")
	give(exitDone, "as it was stored: 1 objects", "export", "verify", id)
	into := filepath.Join(t.TempDir(), "into")
	give(exitDone, "1 files", "export", "fetch", id, "--into", into)
	if text, err := os.ReadFile(filepath.Join(into, "toc.dat")); err != nil || string(text) != "contents" {
		t.Errorf("%q, %v", text, err)
	}
	if found, _ := filepath.Glob(filepath.Join(server.Data, "exports", "eu", "howdah", "exports", "data", id, "*", "*")); len(found) != 1 {
		t.Errorf("the export's pieces in the bucket: %q", found)
	}
	restart := func(readOnly bool) {
		server.Kill()
		server.ReadOnly = readOnly
		server.Start(t)
	}
	restart(true)
	give(exitDone, id, "export", "list")
	give(exitDone, "as it was stored: 1 objects", "export", "verify", id)
	give(exitFailed, "does not allow that for bucket", "export", "remove", id, "--yes")
	give(exitFailed, "does not allow that for bucket", "backup", "init")
	restart(false)
	give(exitDone, "as it was stored: 1 objects", "export", "verify", id)
	give(exitDone, "", "export", "remove", id, "--yes")
	give(exitNotFound, "no such object", "export", "verify", id)
	path = configure(server.URL(t, "exports", "eu/howdah"), "wrong")
	give(exitFailed, "the secret key is not the access key's", "export", "list")
	path = configure(strings.Replace(server.URL(t, "exports", ""), "exports", "export", 1), credentials.SecretKey)
	give(exitFailed, `there is no bucket "export"`, "backup", "init")
}

// TestStoresAreCountedOn has who opened a store before the configuration changed be counted, and
// limited, with who opens it afterwards.
func TestStoresAreCountedOn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "AK")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "CORRECTHORSE")
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[listen]\naddresses = [\"127.0.0.1:0\"]\nunix_socket_dir = \"\"\n[admin]\nhttp = \"\"\n"+backupSection+
		"write_rate = \"1MB\"\n[[store]]\nname = \"eu\"\nurl = \"s3://bucket?insecure=true&region=x&endpoint=%s\"\n", recipient, server.URL) + good
	path := writeFile(t, "howdah.toml", text)
	key := filepath.Join(filepath.Dir(path), "key")
	writeBeside(t, path, "key", identity)
	if err := errors.Join(os.Chmod(key, 0o600), store.MakeDir(filepath.Join(filepath.Dir(path), "store"))); err != nil {
		t.Fatal(err)
	}
	d, err := newDaemon(path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer d.router.Close()
	first := d.current()
	change := func(by func() error) {
		t.Helper()
		if err := by(); err != nil {
			t.Fatal(err)
		}
	}
	byCatalog := func() error {
		next, err := d.current().WithEntries(nil)
		if err != nil {
			return err
		}
		return d.apply(next)
	}
	for i, by := range []func() error{nil, byCatalog, func() error { return d.set("log_level", "debug") }, d.reload} {
		if by != nil {
			change(by)
		}
		for _, c := range []*Config{first, d.current()} {
			for _, s := range c.stores() {
				in, err := s.openToRead()
				if err != nil {
					t.Fatal(err)
				}
				if err := in.Put(t.Context(), "k", []byte("x"), nil); (err == nil) != (s.bucket == nil) {
					t.Error(err)
				}
			}
		}
		stats, want := d.current().storeStats(), uint64(2*(i+1))
		if put := stats[tenants.DefaultStore].Put; put.Calls != want || put.Failed != 0 {
			t.Errorf("after %d changes: %+v of the folder, want %d", i, put, want)
		}
		if put := stats["eu"].Put; put.Calls != want || put.Failed != want {
			t.Errorf("after %d changes: %+v of the bucket, want %d", i, put, want)
		}
		if first.main.rates != d.current().main.rates || first.Stores[0].bucket.rates != d.current().Stores[0].bucket.rates {
			t.Errorf("after %d changes what was opened before has a limit of its own", i)
		}
	}
	change(func() error { return d.set("store_write_rate", "2MB") })
	if first.main.rates == d.current().main.rates || first.main.counts != d.current().main.counts {
		t.Error("another limit is not in force, or what was counted is forgotten")
	}
	writeBeside(t, path, "howdah.toml", strings.Replace(text, "s3://bucket", "s3://other", 1))
	change(d.reload)
	if put := d.current().storeStats()["eu"].Put; put.Calls != 0 {
		t.Errorf("of another bucket what was counted of the one before: %+v", put)
	}
}

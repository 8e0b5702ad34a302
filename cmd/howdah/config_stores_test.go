package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"howdah/backup/replication"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
)

func TestStoresAreCheckedAtStart(t *testing.T) {
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	whole := fmt.Sprintf(backupSection, recipient)
	const eu = "[[store]]\nname = \"eu\"\nurl = \"file:eu\"\n"
	on := func(name string) string {
		return fmt.Sprintf("[[cluster]]\nname = \"abroad\"\nmembers = [\"127.0.0.1:5499\"]\nstore = %q\n", name)
	}
	c, err := loadWithKey(t, whole+eu+on("eu")+twoClusters, identity, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.storeOf("abroad"); err != nil || s.Name != "eu" || s.sealer == nil || s.URL == c.main.URL || !strings.HasSuffix(s.URL, "/eu") {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := c.storeOf("main"); err != nil || s != &c.main {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := c.exportPlace("", "main", (*Store).open); err == nil || s != nil { // `backup init` has not made it
		t.Errorf("%v, %v", s, err)
	}
	own := "[[tier]]\nname = \"own\"\nexport_store = \"eu\"\n" + strings.Replace(twoClusters, "cluster = \"main\"\n", "cluster = \"main\"\ntier = \"own\"\n", 1)
	c, err = loadWithKey(t, whole+eu+on("eu")+own, identity, 0o600)
	if err != nil || c.Tenants[0].Backup.Exports != "eu" {
		t.Errorf("%+v, %v", c.Tenants, err)
	}
	if notes := fmt.Sprint(c.Notes); !strings.Contains(notes, `exports of tenant "acme" go to store "eu", and its rows are in store "default" nevertheless, in the WAL of cluster "main"`) {
		t.Errorf("the notes are %s", notes)
	}
	if c, err = loadWithKey(t, whole+eu+on("eu")+strings.Replace(own, `cluster = "main"`, `cluster = "abroad"`, 1), identity, 0o600); err != nil || len(c.Notes) > 0 {
		t.Errorf("%+v, %v", c, err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"exports":       {whole + eu + "[defaults]\nexport_store = \"us\"\n", `there is no [[store]] "us"`},
		"of a tier":     {whole + eu + "[[tier]]\nname = \"own\"\nexport_store = \"us\"\n", `there is no [[store]] "us"`},
		"unknown":       {whole + eu + on("us"), `there is no [[store]] "us"`},
		"the default":   {whole + strings.Replace(eu, "eu", "default", 1), `"default" is the store of [backup]`},
		"no url":        {whole + "[[store]]\nname = \"eu\"\n", `store "eu" has no url`},
		"no name":       {whole + "[[store]]\nurl = \"file:eu\"\n", "has no name"},
		"twice":         {whole + eu + strings.Replace(eu, "file:eu", "file:x", 1), "is already on line"},
		"same place":    {whole + strings.Replace(eu, "file:eu", "file:./store", 1), `store "eu" is where store "default" is`},
		"of a kind":     {whole + strings.Replace(eu, "file:eu", "gs://eu", 1), "is of a kind"},
		"credentials":   {whole + eu + "credentials_file = \"key\"\n", "where the store is no bucket"},
		"no recipient":  {whole + eu + "recipients = [\"ssh-rsa AAAA\"]\n", "is no X25519 public key of age"},
		"beside none":   {eu, "is beside none"},
		"a bad option":  {whole + strings.Replace(eu, "file:eu", "s3://bucket?regoin=x", 1) + "credentials_file = \"key\"\n", `the URL in url has an unknown option "regoin"`},
		"nobody's keys": {whole + strings.Replace(eu, "file:eu", "s3://bucket", 1), "nobody is named who asks"},
	} {
		var config *ConfigError
		if _, err := loadWithKey(t, c.text+twoClusters, identity, 0o600); !errors.As(err, &config) || len(config.Mistakes) != 1 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStoreKeepsItsRates has all who write to a store, or read it, share what it may have in a
// second.
func TestStoreKeepsItsRates(t *testing.T) {
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	const rates = "read_rate = \"64kB\"\nwrite_rate = \"64kB\"\n"
	c, err := loadWithKey(t, fmt.Sprintf(backupSection, recipient)+rates+"[[store]]\nname = \"eu\"\nurl = \"file:eu\"\n"+rates+good, identity, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.stores() {
		folder, err := storeFolder(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.MakeDir(folder); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for _, open := range []func(*Store) (store.Store, error){(*Store).open, (*Store).openToRead} {
			in, err := open(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := in.Put(t.Context(), "k", make([]byte, 48<<10), nil); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took < 400*time.Millisecond { // of the 96 kB 64 pass at once
			t.Errorf("store %s: written in %s", s.Name, took)
		}
		begun = time.Now()
		for range 2 {
			in, err := s.openToRead()
			if err != nil {
				t.Fatal(err)
			}
			body, _, err := in.Get(t.Context(), "k", 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, body); err != nil {
				t.Fatal(err)
			}
			body.Close()
		}
		if took := time.Since(begun); took < 400*time.Millisecond {
			t.Errorf("store %s: read in %s", s.Name, took)
		}
	}
}

// twoClusters is good where there is another cluster.
var twoClusters = strings.Replace(good, "name = \"acme\"\n", "name = \"acme\"\ncluster = \"main\"\n", 1)

// storesPlace is a configuration with two buckets, for a cluster each, that have recipients
// of their own.
type storesPlace struct {
	*testing.T
	path   string
	server *storetest.S3
	config *Config
}

func newStoresPlace(t *testing.T) *storesPlace {
	t.Helper()
	s := &storesPlace{T: t, server: storetest.StartS3(t)}
	us, usRecipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	eu, euRecipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(fmt.Sprintf(backupSection, usRecipient), "file:store", s.server.URL(t, "bucket-us", "howdah"), 1) + "credentials_file = \"keys\"\nkeep_exports_window = \"1h\"\n" +
		fmt.Sprintf("[[store]]\nname = \"eu\"\nurl = %q\ncredentials_file = \"keys\"\nrecipients = [%q]\n", s.server.URL(t, "bucket-eu", "howdah"), euRecipient) +
		"[[cluster]]\nname = \"abroad\"\nmembers = [\"127.0.0.1:5499\"]\nstore = \"eu\"\n" + twoClusters
	s.path = writeFile(t, "howdah.toml", text)
	credentials := storetest.S3Credentials()
	writeBeside(t, s.path, "key", us+"\n"+eu)
	writeBeside(t, s.path, "keys", fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", credentials.AccessKey, credentials.SecretKey))
	for _, name := range []string{"key", "keys"} {
		if err := os.Chmod(filepath.Join(filepath.Dir(s.path), name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s.config, err = LoadConfig(s.path); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *storesPlace) give(want int, says string, args ...string) string {
	s.Helper()
	code, out, said := runCommand(s.T, append(args, "-c", s.path)...)
	if code != want || !strings.Contains(out+said, says) {
		s.Errorf("howdah %s: exit code %d, %q, %q", strings.Join(args, " "), code, out, said)
	}
	return out
}

// objects counts those in a bucket whose keys have that in them.
func (s *storesPlace) objects(bucket, has string) (n int) {
	s.Helper()
	root := filepath.Join(s.server.Data, "bucket-"+bucket)
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && strings.Contains(strings.TrimPrefix(path, root), has) {
			n++
		}
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return n
}

// claim has the store of a cluster have something of it.
func (s *storesPlace) claim(cluster string) {
	s.Helper()
	r, err := s.config.repositoryOf(cluster, (*Store).open)
	if err != nil {
		s.Fatal(err)
	}
	if _, err := r.Claim(s.Context(), replication.Server{System: "7", Major: 15, Segment: 1 << 20, Timeline: 1}); err != nil {
		s.Fatal(err)
	}
}

// TestTwoBuckets has what is stored of a cluster, and of its tenants, be in its own store.
func TestTwoBuckets(t *testing.T) {
	s := newStoresPlace(t)
	if out := s.give(exitDone, `in bucket "bucket-us"`, "backup", "init"); !strings.Contains(out, `in bucket "bucket-eu"`) {
		t.Errorf("init says %q", out)
	}
	s.claim("main")
	s.claim("abroad")
	if us, eu := s.objects("us", "clusters/main/identity"), s.objects("eu", "clusters/abroad/identity"); us != 1 || eu != 1 || s.objects("us", "abroad")+s.objects("eu", "main") != 0 {
		t.Errorf("%d in us, %d in eu", us, eu)
	}
	s.filestores()
	s.exports()

	for _, cluster := range []string{"main", "abroad"} {
		s.give(exitDone, "", "backup", "list", "--cluster", cluster)
		s.give(exitDone, "nothing of base backups and WAL is deleted", "backup", "expire", "--cluster", cluster)
	}
	if us, eu := s.objects("us", "/policies/"), s.objects("eu", "clusters/abroad/policies/"); us != 1 || eu != 1 {
		t.Errorf("%d policies in us, %d in eu", us, eu)
	}
	s.give(exitFailed, "nothing has ever been backed up", "backup", "expire", "--cluster", "abroad", "--store", "default")
	s.give(exitNotFound, `store "ue"`, "backup", "expire", "--cluster", "abroad", "--store", "ue")
	s.oneAway()
	// A cluster that the file does not have is where something is of it.
	text, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	writeBeside(t, s.path, "howdah.toml", strings.Replace(string(text), `name = "abroad"`, `name = "new"`, 1))
	s.give(exitDone, "", "backup", "list", "--cluster", "abroad")
	s.give(exitDone, "nothing of base backups", "backup", "expire", "--cluster", "abroad")
	s.give(exitFailed, "say --store where it is", "backup", "expire", "--cluster", "nobody")
	if n := s.objects("us", "abroad"); n != 0 {
		t.Errorf("%d objects of abroad are in us", n)
	}
}

func (s *storesPlace) filestores() {
	s.Helper()
	folder := filepath.Join(s.TempDir(), "acme", "0b")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"), []byte("foo"), 0o600); err != nil {
		s.Fatal(err)
	}
	s.give(exitDone, "acme", "filestore", "sync", "--from", filepath.Dir(filepath.Dir(folder)), "--cluster", "abroad")
	if us, eu := s.objects("us", "filestore"), s.objects("eu", "filestore"); us != 0 || eu != 2 {
		s.Errorf("of the filestore %d objects are in us, %d in eu", us, eu)
	}
}

func (s *storesPlace) exports() {
	s.Helper()
	var ids []string
	for _, cluster := range []string{"abroad", "main"} {
		place, err := s.config.exportPlace("", cluster, (*Store).open)
		if err != nil {
			s.Fatal(err)
		}
		ids = append(ids, storeExportAt(s.T, place, time.Now()))
	}
	if eu, us := s.objects("eu", "exports/manifests/"+ids[0]), s.objects("us", "exports/manifests/"+ids[1]); eu != 1 || us != 1 {
		s.Errorf("%d in eu, %d in us", eu, us)
	}
	var all []struct{ ID string }
	if err := json.Unmarshal([]byte(s.give(exitDone, "", "export", "list", "--json")), &all); err != nil || len(all) != 2 {
		s.Errorf("%+v, %v", all, err)
	}
	if out := s.give(exitDone, ids[0], "export", "list", "--store", "eu"); strings.Contains(out, ids[1]) {
		s.Errorf("it lists %s", out)
	}
	for i, id := range ids {
		s.give(exitDone, "as it was stored", "export", "verify", id)
		s.give(exitDone, "1 files", "export", "fetch", id, "--into", filepath.Join(s.TempDir(), "into"))
		s.give(exitDone, "is held", "backup", "hold", id)
		s.give(exitDone, "not held any more", "backup", "hold", id, "--release")
		if i == 0 {
			s.give(exitNotFound, "no such object", "export", "verify", id, "--store", "default")
		}
		s.give(exitDone, "", "export", "remove", id, "--yes")
	}
	s.give(exitNotFound, "no such object", "export", "verify", ids[0])
}

// oneAway has nothing of the others wait for a store that is away.
func (s *storesPlace) oneAway() {
	s.Helper()
	text, err := os.ReadFile(s.path)
	if err != nil {
		s.Fatal(err)
	}
	gone := strings.Replace(s.server.URL(s.T, "bucket-us", "howdah"), "bucket-us", "bucket-gone", 1)
	with := string(text) + fmt.Sprintf("[[store]]\nname = \"gone\"\nurl = %q\ncredentials_file = \"keys\"\n", gone)
	writeBeside(s.T, s.path, "howdah.toml", with)
	defer writeBeside(s.T, s.path, "howdah.toml", string(text))
	place, err := s.config.exportPlace("", "abroad", (*Store).open)
	if err != nil {
		s.Fatal(err)
	}
	config, err := LoadConfig(s.path)
	if err != nil {
		s.Fatal(err)
	}
	if _, err := config.exportPlaces((*Store).open); err == nil {
		s.Error("a bucket was opened that there is not")
	}
	if stats := config.storeStats(); stats["gone"].LastFailure.IsZero() || !stats["gone"].LastSuccess.IsZero() || stats["eu"].LastSuccess.IsZero() || !stats["eu"].LastFailure.IsZero() {
		s.Errorf("it is told of the stores: %+v", stats)
	}
	old, id := storeExportAt(s.T, place, time.Now().Add(-2*time.Hour)), storeExportAt(s.T, place, time.Now())

	s.give(exitFailed, "bucket-gone", "export", "list")
	s.give(exitDone, "as it was stored", "export", "verify", id)
	s.give(exitUsage, "say --store", "export", "add", "dump", "--tenant", "acme")
	s.give(exitFailed, "not all exports could be looked at", "backup", "verify", "--cluster", "abroad")
	s.give(exitDone, `left alone: exports in store "gone"`, "backup", "expire", "--cluster", "abroad", "--dry-run")
	s.give(exitFailed, `exports in store "gone"`, "backup", "expire", "--cluster", "abroad")
	if gone, kept := s.objects("eu", "exports/data/"+old), s.objects("eu", "exports/manifests/"+id); gone != 0 || kept != 1 {
		s.Errorf("%d parts are left of what expires, %d manifests of what does not", gone, kept)
	}
	s.give(exitDone, "", "export", "remove", id, "--yes")
	s.give(exitFailed, "bucket-gone", "export", "verify", id)
	// A cluster that the file does not have is looked for where clusters are first.
	writeBeside(s.T, s.path, "howdah.toml", strings.Replace(with, `name = "abroad"`, `name = "new"`, 1))
	s.give(exitDone, "", "backup", "list", "--cluster", "abroad")
	s.give(exitFailed, "bucket-gone", "backup", "list", "--cluster", "nobody")
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"howdah/backup/store"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// backupSection is [backup] with a store beside the file, and a key.
const backupSection = "[backup]\nstore = \"file:store\"\nrecipients = [%q]\nidentity_file = \"key\"\n"

func TestBackupIsCheckedAtStart(t *testing.T) {
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	whole := fmt.Sprintf(backupSection, recipient)
	if c, err := loadWithKey(t, whole+good, identity, 0o600); err != nil || c.main.sealer == nil || !strings.HasPrefix(c.Backup.Store, "file:///") {
		t.Fatalf("%+v, %v", c, err)
	}
	for name, c := range map[string]struct {
		text, key string
		mode      os.FileMode
		want      string
	}{
		"others may read it": {whole, identity, 0o644, "howdah.toml:4: others than its owner may use identity_file"},
		"no identity":        {whole, "AGE-SECRET-KEY-1CORRECTHORSE", 0o600, "howdah.toml:4: identity_file"},
		"no file":            {strings.Replace(whole, `"key"`, `"none"`, 1), identity, 0o600, "no such file"},
		"no recipients":      {"[backup]\nstore = \"file:///x\"\n", identity, 0o600, "there are no recipients"},
		"no recipient":       {strings.Replace(whole, recipient, "ssh-rsa AAAA", 1), identity, 0o600, "is no X25519 public key of age"},
		"another kind":       {strings.Replace(whole, "file:store", "gs://bucket", 1), identity, 0o600, "is of a kind"},
		"nobody asks":        {strings.Replace(whole, "file:store", "s3://bucket", 1), identity, 0o600, "nobody is named who asks"},
		"credentials, no S3": {whole + "credentials_file = \"key\"\n", identity, 0o600, "where the store is no bucket"},
		"a password":         {strings.Replace(whole, "file:store", "s3://me:CORRECTHORSE@bucket", 1), identity, 0o600, "has credentials in it"},
		"a path":             {strings.Replace(whole, "file:store", "/var/store", 1), identity, 0o600, "is no URL"},
		"the root":           {strings.Replace(whole, "file:store", "file:///", 1), identity, 0o600, "has no path"},
		"changes of nothing": {strings.Replace(whole, "identity_file", "#identity_file", 1) + "base_changes_interval = \"1h\"\n", identity, 0o600, "no incremental base backup can be taken"},
		"changes for ever":   {whole + "base_changes_interval = \"1h\"\nbase_interval = \"0s\"\n", identity, 0o600, "all base backups but the first would be incremental"},
		"changes at once":    {whole + "base_changes_interval = \"1s\"\n", identity, 0o600, "base_changes_interval 1s is shorter than a base backup takes"},
		"WAL never stored":   {whole + "wal_interval = \"0s\"\n", identity, 0o600, "wal_interval 0s is of no use"},
		"hardly read":        {whole + "read_rate = \"31kB\"\n", identity, 0o600, "read_rate is so little"},
		"hardly written":     {whole + "[[store]]\nname = \"eu\"\nurl = \"file:eu\"\nwrite_rate = 1\n", identity, 0o600, "write_rate is so little"},
		"slower than slow":   {whole + "base_max_rate = \"31kB\"\n", identity, 0o600, "less than PostgreSQL takes"},
		"drills, no key":     {strings.Replace(whole, "identity_file = \"key\"", "drill_interval = \"1h\"", 1), identity, 0o600, "howdah.toml:4: what is to be restored by drills cannot be opened"},
		"no store":           {"[backup]\nidentity_file = \"key\"\n", identity, 0o600, "of no use without a store"},
	} {
		_, err := loadWithKey(t, c.text+good, c.key, c.mode)
		var config *ConfigError
		if !errors.As(err, &config) || len(config.Mistakes) != 1 || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "CORRECTHORSE") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestExportCommands works on a store that only the configuration file tells of.
func TestExportCommands(t *testing.T) {
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, "howdah.toml", fmt.Sprintf(backupSection, recipient)+good)
	writeBeside(t, path, "key", identity)
	if err := os.Chmod(filepath.Join(filepath.Dir(path), "key"), 0o600); err != nil {
		t.Fatal(err)
	}
	give := func(want int, says string, args ...string) {
		t.Helper()
		code, out, said := runCommand(t, append(args, "-c", path)...)
		if code != want || !strings.Contains(out+said, says) {
			t.Errorf("howdah %s: exit code %d, %q, %q", strings.Join(args, " "), code, out, said)
		}
	}
	give(exitFailed, "`howdah backup init` makes a new one", "export", "list")
	for range 2 {
		give(exitDone, "there is a store in", "backup", "init")
	}
	give(exitDone, "[]", "export", "list", "--json")
	id := storeExport(t, path)
	give(exitDone, id, "export", "list")
	give(exitDone, id, "export", "list", "--tenant", "acme")
	give(exitDone, "as it was stored: 1 objects", "export", "verify", id)
	into := filepath.Join(t.TempDir(), "into")
	give(exitUsage, "--into", "export", "fetch", id)
	give(exitDone, "1 files", "export", "fetch", id, "--into", into)
	give(exitUsage, "is not empty", "export", "fetch", id, "--into", into)
	if text, err := os.ReadFile(filepath.Join(into, "toc.dat")); err != nil || string(text) != "contents" {
		t.Errorf("%q, %v", text, err)
	}
	for _, verb := range []string{"verify", "fetch", "remove"} {
		args := []string{"export", verb, "acme.20260131T120000Z.abcdef"}
		if verb == "fetch" {
			args = append(args, "--into", into)
		}
		give(exitNotFound, "no such object", args...)
		args[2] = "../etc"
		give(exitFailed, "no export's id", args...)
	}
	give(exitUsage, "--yes", "export", "remove", id)
	another, _, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	writeBeside(t, path, "key", another)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	give(exitFailed, "sealed for others", "export", "fetch", id, "--into", elsewhere)
	if _, err := os.Stat(elsewhere); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	withCatalog := func(url string) {
		t.Helper()
		writeBeside(t, path, "howdah.toml", string(text)+fmt.Sprintf("\n[catalog]\nurl = %q\n", url))
	}
	withCatalog("postgres://howdah@127.0.0.1:1/catalog")
	give(exitFailed, "must be noted in the audit log", "export", "remove", id, "--yes")
	give(exitDone, "as it was stored", "export", "verify", id)
	url := wiretest.StartPostgres(t).AdminURL(postgres.Superuser)
	withCatalog(url)
	give(exitDone, "", "export", "remove", id, "--yes")
	c, err := catalog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	last, err := c.LastRecords(t.Context(), "", 10)
	if err != nil || len(last) != 1 || last[0].Action != "remove" || last[0].Kind != "export" || last[0].Name != id || last[0].Door != "command" || last[0].Actor == "" {
		t.Errorf("the audit log says %+v, %v", last, err)
	}
	give(exitNotFound, "no such object", "export", "verify", id)
}

// storeExport stores an export of a tenant acme, and returns its id.
func storeExport(t *testing.T, path string) string {
	t.Helper()
	config, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	place, err := config.mainStore().place((*Store).open)
	if err != nil {
		t.Fatal(err)
	}
	return storeExportAt(t, place, time.Now())
}

// TestReplicationAloneIsNoted has it be told what a cluster lacks that is received without an
// admin_url.
func TestReplicationAloneIsNoted(t *testing.T) {
	const received = "members = [\"a:1\"]\nreplication_url = \"host=a user=r\"\n"
	if notes := fmt.Sprint(mustLoad(t, patroniConfig(received)).Notes); !strings.Contains(notes, "log in to database postgres") || !strings.Contains(notes, "{ 4 ") {
		t.Errorf("it notes %s", notes)
	}
	if notes := mustLoad(t, patroniConfig(received+"admin_url = \"host=a\"\n")).Notes; len(notes) > 0 {
		t.Errorf("with an admin_url it notes %v", notes)
	}
}

func TestBaseURLNeedsWAL(t *testing.T) {
	checkMistakes(t, patroniConfig("members = [\"a:1\"]\nbase_url = \"host=b user=r\"\n"), []string{`4: a base backup without its WAL is none; give replication_url too`})
	checkMistakes(t, patroniConfig("members = [\"a:1\"]\nreplication_url = \"host=a user=r\"\nbase_url = \"b\"\n"), []string{`5: base_url is no connection string`})
}

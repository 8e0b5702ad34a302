package backup_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/restore"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
	"howdah/backup/wal"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// mistaken is a cluster that is backed up, of whose WAL some was lost.
type mistaken struct {
	*testing.T
	place   *place
	primary *postgres.Server
	bucket  *storetest.S3
	where   string // the store's URL
	text    string // of the configuration
	gap     wal.Gap
	lost    string // a time of which the WAL is in the gap
	into    string // a folder that is not there
	secret  string // the private key
}

func newMistaken(t *testing.T) *mistaken {
	m := &mistaken{T: t, bucket: storetest.StartS3(t), into: filepath.Join(wiretest.ServerDir(t), "restored")}
	m.primary = wiretest.StartPostgres(t, wiretest.WithTrust(), wiretest.WithSetting("wal_level", "replica"))
	m.where = m.bucket.URL(t, "mistakes", "p")
	m.place = newPlace(t, m.where, storetest.OpenS3(t, m.where), m.primary.AdminURL("postgres"), m.primary.Address())
	text, err := os.ReadFile(m.place.config)
	if err != nil {
		t.Fatal(err)
	}
	m.text = string(text)
	if text, err = os.ReadFile(filepath.Join(m.place.folder, "identity")); err != nil {
		t.Fatal(err)
	}
	m.secret = strings.TrimSpace(string(text))
	m.place.startServe()
	m.place.done("backup", "now")
	m.exec("create table t as select 1 as n")
	m.place.stored(flushed(t, m.primary))
	m.place.killServe()
	m.lose()
	m.place.startServe()
	m.place.done("backup", "now")
	m.exec("insert into t values (2)")
	m.place.stored(flushed(t, m.primary))
	m.knowsTime()
	m.place.killServe()
	contents, err := wal.List(t.Context(), m.place.repo)
	if err != nil || len(contents.Gaps) != 1 {
		t.Fatalf("the gaps are %v, %v", contents.Gaps, err)
	}
	m.gap = contents.Gaps[0]
	return m
}

// knowsTime waits until it is known that what is stored goes beyond the time in the gap.
func (m *mistaken) knowsTime() {
	m.Helper()
	target, err := restore.ParseTarget(m.lost)
	if err != nil {
		m.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		_, err := restore.Make(m.Context(), m.place.repo, target, 0, "")
		if err == nil || !strings.Contains(err.Error(), "it is not known") {
			return
		}
		if time.Now().After(end) {
			m.Fatalf("a time in the gap: %v", err)
		}
		m.exec("insert into t values (2)") // what is stored of it has a newer time
	}
}

func (m *mistaken) exec(statements ...string) {
	m.Helper()
	if err := m.primary.Exec(m.Context(), postgres.Superuser, statements...); err != nil {
		m.Fatal(err)
	}
}

// lose has the server throw away WAL that is not stored.
func (m *mistaken) lose() {
	m.Helper()
	slots := "select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active"
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var n int
		if err := m.primary.QueryRow(m.Context(), postgres.Superuser, "select count(*) from pg_replication_slots where active", nil, &n); err != nil {
			m.Fatal(err)
		}
		if n == 0 {
			break
		}
		if time.Now().After(end) {
			m.Fatal("the slot is still in use")
		}
	}
	m.exec(slots)
	for range 2 {
		m.exec("insert into t values (1)", "select pg_switch_wal()", "checkpoint")
	}
	m.lost = time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00")
	for range 2 {
		m.exec("insert into t values (1)", "select pg_switch_wal()", "checkpoint")
	}
}

// variant is the configuration with a text in place of another.
func (m *mistaken) variant(old, new string) string {
	m.Helper()
	if !strings.Contains(m.text, old) {
		m.Fatalf("the configuration has no %q", old)
	}
	return strings.Replace(m.text, old, new, 1)
}

// folder is the configuration with a store in a folder in place of the bucket, in which
// another cluster has written.
func (m *mistaken) folder(name string, i repository.Identity) string {
	m.Helper()
	path := filepath.Join(m.place.folder, name)
	if err := store.MakeDir(path); err != nil {
		m.Fatal(err)
	}
	d, err := store.OpenDir(path)
	if err != nil {
		m.Fatal(err)
	}
	text, err := json.Marshal(i)
	if err != nil {
		m.Fatal(err)
	}
	if err := d.Put(m.Context(), "clusters/main/identity", text, nil); err != nil {
		m.Fatal(err)
	}
	return strings.Replace(m.variant(m.where, "file://"+path), `credentials_file = "keys"`, "", 1)
}

// seen is all that could be changed: the objects of the bucket, the files of the folder, the
// slots of the server.
func (m *mistaken) seen() map[string]string {
	m.Helper()
	all := map[string]string{}
	for info, err := range m.place.repo.Store.List(m.Context(), "") {
		if err != nil {
			m.Fatal(err)
		}
		all[info.Key] = info.Version
	}
	err := filepath.WalkDir(m.place.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && filepath.Ext(path) != ".toml" {
			all[path] = fmt.Sprint(info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		m.Fatal(err)
	}
	if _, err := os.Lstat(m.into); !errors.Is(err, os.ErrNotExist) {
		all[m.into] = fmt.Sprint("is there: ", err)
	}
	return all
}

// TestMistakes makes the mistakes that people make with the real program: each is refused with
// a text that says what is wrong and where, and nothing is changed.
func TestMistakes(t *testing.T) {
	t.Parallel()
	m := newMistaken(t)
	other, _, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	m.place.write("other", other)
	m.place.write("wrongkeys", "aws_access_key_id = nobody\naws_secret_access_key = CORRECTHORSE\n")
	server := replication.Server{}
	if i, err := m.place.repo.Identity(t.Context()); err != nil {
		t.Fatal(err)
	} else {
		server = replication.Server{System: i.System, Major: i.Major, Segment: i.Segment}
	}
	identity := func(change func(*repository.Identity)) repository.Identity {
		i := repository.Identity{Format: 1, Cluster: "main", System: server.System, Major: server.Major, Segment: server.Segment, Since: time.Now()}
		change(&i)
		return i
	}
	restore := func(args ...string) []string { return append([]string{"restore", "--into", m.into}, args...) }
	now := []string{"backup", "now"}
	bases := m.bases()
	inGap := (m.gap.From.LSN + m.gap.To.LSN) / 2
	for name, x := range map[string]struct {
		config string
		args   []string
		exit   int
		want   []string
	}{
		"no key": {m.variant(`identity_file = "identity"`, ""), restore("--to", "latest"), 1, []string{"identity_file"}},
		"a wrong key": {
			m.variant(`identity_file = "identity"`, `identity_file = "other"`), restore("--to", "latest"), 1, []string{"identity_file", "clusters/main/base/"},
		},
		"a wrong key, for one database": {
			m.variant(`identity_file = "identity"`, `identity_file = "other"`), restore("--to", "latest", "--database", "postgres"), 1, []string{"identity_file"},
		},
		"a key that is none":          {m.variant(`identity_file = "identity"`, `identity_file = "keys"`), restore("--to", "latest"), 3, []string{"howdah.toml", "identity_file"}},
		"a wrong bucket":              {m.variant("s3://mistakes/", "s3://nobodys/"), restore("--to", "latest"), 1, []string{`no bucket "nobodys"`, m.bucket.Endpoint}},
		"a wrong bucket, to write to": {m.variant("s3://mistakes/", "s3://nobodys/"), now, 1, []string{`no bucket "nobodys"`, m.bucket.Endpoint}},
		"a wrong prefix":              {m.variant("s3://mistakes/p", "s3://mistakes/q"), restore("--to", "latest"), 1, []string{`cluster "main"`, "nothing has ever been backed up"}},
		"no permission":               {m.variant(`"keys"`, `"wrongkeys"`), restore("--to", "latest"), 1, []string{"does not know the access key", m.bucket.Endpoint}},
		"no permission to write":      {m.variant(`"keys"`, `"wrongkeys"`), now, 1, []string{"does not know the access key", m.bucket.Endpoint}},
		"no such folder": {
			strings.Replace(m.variant(m.where, "file:///nowhere/store"), `credentials_file = "keys"`, "", 1), now, 1, []string{"/nowhere/store", "howdah backup init"},
		},
		"in the future":           {m.text, restore("--to", "2999-01-01T00:00:00Z"), 1, []string{"2999-01-01", "in the future", "it is "}},
		"before the first backup": {m.text, restore("--to", "2020-01-01T00:00:00Z"), 1, []string{"the oldest base backup", "after 2020-01-01"}},
		"in a gap":                {m.text, restore("--to", "lsn:"+inGap.String()), 1, []string{"there is a hole", m.gap.From.LSN.String(), "had it no more"}},
		"at a time in a gap":      {m.text, restore("--to", m.lost), 1, []string{"there is a hole", m.gap.From.LSN.String(), "had it no more"}},
		"over a gap, from a base backup in front of it": {
			m.text, restore("--to", "latest", "--base", bases[len(bases)-1]), 1, []string{"there is a hole", "had it no more"},
		},
		"on another timeline":   {m.text, restore("--to", "latest", "--timeline", "7"), 1, []string{"timeline 7", "nothing is stored"}},
		"no such base backup":   {m.text, restore("--to", "latest", "--base", "20260131T120000Z.abcdef"), 4, []string{"20260131T120000Z.abcdef"}},
		"no base backup's name": {m.text, restore("--to", "latest", "--base", "../x"), 1, []string{`"../x"`}},
		"no time zone":          {m.text, restore("--to", "2026-01-31 10:42:00"), 2, []string{"time zone", "Europe/Brussels"}},
		"twelve hours":          {m.text, restore("--to", "2026-01-31 10:42:00 PM"), 2, []string{"0 to 23"}},
		"not a number":          {m.text, append(slices.Clone(now), "--max-rate", "NaN"), 2, []string{"max-rate"}},
		"no end":                {m.text, append(slices.Clone(now), "--max-rate", "Inf"), 2, []string{"max-rate"}},
		"a folder that is full": {m.text, []string{"restore", "--to", "latest", "--into", m.place.folder}, 1, []string{m.place.folder, "not empty"}},
		"another system": {
			m.folder("foreign", identity(func(i *repository.Identity) { i.System = "7" })), now, 1, []string{"another cluster's", "system 7", server.System, "another prefix"},
		},
		"another major version": {
			m.folder("older", identity(func(i *repository.Identity) { i.Major-- })), now, 1,
			[]string{"another cluster's", fmt.Sprintf("PostgreSQL %d", server.Major-1), fmt.Sprintf("has %d", server.Major)},
		},
		"segments of another size": {
			m.folder("segments", identity(func(i *repository.Identity) { i.Segment = 1 << 20 })), now, 1, []string{"another cluster's", "1048576"},
		},
		"a newer Howdah's": {m.folder("newer", identity(func(i *repository.Identity) { i.Format = 2 })), restore("--to", "latest"), 1, []string{"format 2", "use a newer one"}},
		"no such cluster":  {m.text, restore("--to", "latest", "--cluster", "other"), 1, []string{`cluster "other"`, "nothing has ever been backed up"}},
		"a cluster's name that is a path": {
			m.text, restore("--to", "latest", "--cluster", "../x"), 1, []string{`cluster "../x"`, "slash"},
		},
	} {
		t.Run(name, func(t *testing.T) { m.refused(t, x.config, nil, x.args, x.exit, x.want...) })
	}
	t.Run("PostgreSQL of no such version", func(t *testing.T) {
		m.refused(t, m.text, []string{"HOWDAH_PG_BINDIR=" + t.TempDir()}, restore("--to", "latest"), 1, fmt.Sprintf("apt-get install postgresql-%d", server.Major))
	})
	t.Run("a full disk", func(t *testing.T) { testFullDisk(t, m) })
	t.Run("archive-get tells trouble from absence", func(t *testing.T) { testArchiveGet(t, m) })
	t.Run("a receiver at another's", func(t *testing.T) {
		testForeignReceiver(t, m, m.folder("serve", identity(func(i *repository.Identity) { i.System = "7" })))
	})
	t.Run("a store that is read-only", func(t *testing.T) { testReadOnly(t, m) }) // last
}

// bases returns the ids of the base backups, the newest first.
func (m *mistaken) bases() (ids []string) {
	m.Helper()
	var all []struct{ ID string }
	if err := json.Unmarshal([]byte(m.place.done("backup", "list", "--json")), &all); err != nil {
		m.Fatal(err)
	}
	for _, b := range all {
		ids = append(ids, b.ID)
	}
	if len(ids) < 2 {
		m.Fatalf("the base backups are %q", ids)
	}
	return ids
}

// with returns the program with another configuration.
func (m *mistaken) with(t *testing.T, config string, args ...string) *exec.Cmd {
	t.Helper()
	path := filepath.Join(m.place.folder, "mistaken.toml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, m.place.program, append(args, "-c", path)...)
}

// refused runs a command that must fail, say certain things, and change nothing.
func (m *mistaken) refused(t *testing.T, config string, environ, args []string, exit int, want ...string) {
	t.Helper()
	before := m.seen()
	cmd := m.with(t, config, args...)
	cmd.Env = append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != exit {
		t.Errorf("howdah %q: %v, want exit code %d\n%s", args, err, exit, out)
	}
	for _, text := range want {
		if !strings.Contains(strings.ReplaceAll(string(out), "mistaken.toml", "howdah.toml"), text) {
			t.Errorf("howdah %q: it does not say %q:\n%s", args, text, out)
		}
	}
	t.Logf("%s", out)
	if strings.Contains(string(out), "CORRECTHORSE") || strings.Contains(string(out), m.secret) {
		t.Errorf("howdah %q: it tells a secret:\n%s", args, out)
	}
	if after := m.seen(); !maps.Equal(before, after) {
		t.Errorf("howdah %q: it has changed\n%v\ninto\n%v", args, before, after)
	}
}

// testFullDisk restores to a disk that is too small.
func testFullDisk(t *testing.T, m *mistaken) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, 0); err != nil {
			t.Error(err)
		}
	})
	m.refused(t, m.text, nil, []string{"restore", "--to", "latest", "--into", filepath.Join(small, "restored")}, 1, small, "are free")
	if names, err := os.ReadDir(small); err != nil || len(names) > 0 {
		t.Errorf("left is %v, %v", names, err)
	}
}

// testArchiveGet is regression 15: a restore_command that fails must not pass for the end of
// the WAL.
func testArchiveGet(t *testing.T, m *mistaken) {
	path := filepath.Join(t.TempDir(), "RECOVERYXLOG")
	there := replication.SegmentName(1, m.gap.To.LSN, 16<<20)
	for name, x := range map[string]struct {
		config, file string
		exit         int
	}{
		"it is there":        {m.text, there, 0},
		"it is absent":       {m.text, "0000000100000FFF00000001", 1},
		"no such history":    {m.text, "00000007.history", 1},
		"a wrong key":        {m.variant(`identity_file = "identity"`, `identity_file = "other"`), there, 200},
		"no key":             {m.variant(`identity_file = "identity"`, ""), there, 200},
		"no permission":      {m.variant(`"keys"`, `"wrongkeys"`), "00000007.history", 200},
		"a wrong bucket":     {m.variant("s3://mistakes/", "s3://nobodys/"), there, 200},
		"a wrong prefix":     {m.variant("s3://mistakes/p", "s3://mistakes/q"), there, 200},
		"no configuration":   {"x", there, 200},
		"no file's name":     {m.text, "x", 200},
		"a name that climbs": {m.text, "../identity", 200},
	} {
		cmd := m.with(t, x.config, "wal", "archive-get", x.file, path)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != x.exit {
			t.Errorf("%s: it exits with %d, not %d: %s", name, got, x.exit, out)
		}
		info, err := os.Stat(path)
		if (err == nil) != (x.exit == 0) || err == nil && info.Size() != 16<<20 {
			t.Errorf("%s: the file is %v, %v", name, info, err)
		}
		os.Remove(path)
	}
}

// testForeignReceiver has `howdah serve` receive into what is another cluster's.
func testForeignReceiver(t *testing.T, m *mistaken, config string) {
	before := m.seen()
	cmd := m.with(t, config, "serve")
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if !strings.Contains(log.String(), "another cluster's") || !strings.Contains(log.String(), "another prefix") {
		t.Errorf("it says:\n%s", log.String())
	}
	if after := m.seen(); !maps.Equal(before, after) {
		t.Errorf("it has changed\n%v\ninto\n%v", before, after)
	}
}

// testReadOnly has the bucket be one that nobody may write to: what only reads goes on.
func testReadOnly(t *testing.T, m *mistaken) {
	m.bucket.Kill()
	m.bucket.ReadOnly = true
	m.bucket.Start(t)
	m.refused(t, m.text, nil, []string{"backup", "now"}, 1, "mistakes", m.bucket.Endpoint)
	if out, err := m.place.run("restore", "--to", "latest", "--into", m.into); err != nil {
		t.Errorf("it cannot be restored from: %v\n%s", err, out)
	}
}

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"howdah/admin"
	"howdah/backup/base"
	"howdah/backup/overview"
	"howdah/backup/replication"
	"howdah/backup/store"
	"howdah/backup/wal"
	"howdah/tenants"
)

// promising is a configuration with tenants of which something is promised.
const promising = `
[[cluster]]
name = "main"
members = ["127.0.0.1:5442"]
replication_url = "postgres://r@127.0.0.1:5442"
admin_url = "postgres://a@127.0.0.1:5442"
[[tier]]
name = "gold"
backup_rpo = "5s"
backup_rto = "2m"
[[tenant]]
name = "acme"
user = "acme"
tier = "gold"
[[tenant]]
name = "globex"
user = "acme"
tier = "gold"
backup_rto = "1m"
[[tenant]]
name = "initech"
user = "acme"
[[tenant]]
name = "*"
backup_rpo = "4s"
[[user]]
name = "acme"
verifier = "` + scramVerifier + `"
`

func TestPromisesThatCannotBeKept(t *testing.T) {
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	whole := fmt.Sprintf(backupSection, recipient)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"they may be kept": {whole + "base_changes_interval = \"1h\"\n" + promising, nil},
		"they cost room":   {whole + promising, []string{`backup_rto of tenant "acme" may have a full base backup of cluster "main" be taken every hour, and about 168 be kept, as keep_window is 168h0m0s and keep_base 7,`}},
		"who wants most":   {whole + "keep_window = \"0s\"\nkeep_base = 9\n" + promising, []string{`about 9 be kept, as keep_window is 0s and keep_base 9,`}},
		"a longer window":  {whole + promising + "[[tenant]]\nname = \"old\"\nuser = \"acme\"\nbackup_retention = \"500h\"\n", []string{`about 500 be kept`}},
		"no store": {promising, []string{
			`backup_rpo of tenant "acme" is not kept: nothing of cluster "main" is stored`,
			`backup_rto of tenant "acme" is not kept`, `backup_rto of tenant "globex" is not kept`, `backup_rpo of tenant "*" is not kept`,
		}},
		"no replication_url": {whole + strings.Replace(promising, "replication_url", "#", 1) + "[defaults]\nbackup_retention = \"24h\"\n", []string{
			`backup_rpo of tenant "acme" is not kept`, `backup_rto of tenant "acme" is`, `backup_rto of tenant "globex" is`, `backup_rpo of tenant "*" is`,
			`backup_retention of tenant "acme" is not kept: nothing of cluster "main" is stored`,
		}},
		"no admin_url":   {whole + "base_changes_interval = \"1h\"\n" + strings.Replace(promising, "admin_url", "#", 1), []string{`cluster "main" has no admin_url: restores`, `backup_rpo of tenant "acme" may be kept or not`, `backup_rpo of tenant "*" may be`}},
		"WAL comes late": {whole + "base_changes_interval = \"1h\"\nwal_interval = \"3500ms\"\n" + promising, []string{`backup_rpo of tenant "*" cannot be kept: WAL is stored every 3.5s`}},
	} {
		config, err := loadWithKey(t, c.text, identity, 0o600)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		notes := fmt.Sprint(config.Notes)
		if len(config.Notes) != len(c.want) {
			t.Errorf("%s: %d notes: %s", name, len(config.Notes), notes)
		}
		for _, want := range c.want {
			if !strings.Contains(notes, want) {
				t.Errorf("%s: %s do not say %q", name, notes, want)
			}
		}
	}
}

// What is written on one line is told of in the same order always.
func TestPromisesAreToldOfInOrder(t *testing.T) {
	text := "defaults = { backup_rpo = \"5s\", backup_rto = \"2m\", backup_retention = \"24h\" }\n" + strings.ReplaceAll(promising, "backup_r", "#")
	for range 10 {
		notes := mustLoad(t, text).Notes
		if len(notes) != 3 || !strings.HasPrefix(notes[0].Problem, "backup_rpo") || !strings.HasPrefix(notes[1].Problem, "backup_rto") || !strings.HasPrefix(notes[2].Problem, "backup_retention") {
			t.Fatalf("told is %v", notes)
		}
	}
}

// standingBackups are those of a cluster that has written so much since its base backup, and
// of which all is stored but for the last of so long.
func standingBackups(written int64, age time.Duration) *admin.ClusterBackups {
	now := time.Now()
	return &admin.ClusterBackups{
		Overview: overview.Overview{
			Cluster: "main", Read: now, Bases: []overview.Base{{Manifest: base.Manifest{ID: "x"}}},
			Shared: 80 << 20, SharedWhole: 40 << 20, Databases: map[string]overview.Database{"acme": {Unpack: 80 << 20}, "globex": {Unpack: 320 << 20}},
		},
		Wanted: true, Receiving: &wal.Stats{Connected: true, Durable: replication.LSN(written), Sampled: now.Add(-age)},
	}
}

// A restore of acme takes 6 seconds, of globex 9, and what its WAL takes.
func TestPromisesAreMeasured(t *testing.T) {
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	config, err := loadWithKey(t, fmt.Sprintf(backupSection, recipient)+promising, identity, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s, err := config.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	cluster, _ := s.Cluster("main")
	for name, c := range map[string]struct {
		written       int64
		age           time.Duration
		change        func(*admin.ClusterBackups)
		rpo, rto      string // what is told of them; "" is that they are kept
		tenant        string // of the RTO
		mayReplay     int64
		whole         int64 // MB, likewise; 0 is 2220
		nobodyKnows   bool
		receivesNever bool
	}{
		"kept":      {tenant: "globex", mayReplay: 51 * 40 << 20},
		"too old":   {age: time.Minute, rpo: "within 4s", tenant: "globex", mayReplay: 51 * 40 << 20},
		"just kept": {written: 51 * 40 << 20, tenant: "globex", mayReplay: 51 * 40 << 20},
		"too much":  {written: 52 * 40 << 20, rto: `a restore of tenant "globex" would take about 1m1s, and may take 1m0s`, tenant: "globex", mayReplay: 51 * 40 << 20},
		"globex cannot": {
			change: func(b *admin.ClusterBackups) {
				b.Databases["globex"] = overview.Database{Unpack: 320 << 20, Size: 600 << 20}
			},
			rto:       `tenant "globex" would take about 1m15s`,
			tenant:    "globex",
			mayReplay: 114 * 40 << 20, // as acme can
			whole:     4620,
		},
		"made up of many": {
			change:    func(b *admin.ClusterBackups) { b.Databases["globex"] = overview.Database{Unpack: 57 * 80 << 20} },
			rto:       `tenant "globex" would take about 1m2s`,
			tenant:    "globex",
			mayReplay: -2 * 40 << 20,
		},
		"no base backup": {change: func(b *admin.ClusterBackups) { b.Bases = nil }},
		"elsewhere":      {change: func(b *admin.ClusterBackups) { b.Receiving.Elsewhere, b.Receiving.Connected = true, false }, tenant: "globex", mayReplay: 51 * 40 << 20, nobodyKnows: true},
		"nobody":         {change: func(b *admin.ClusterBackups) { b.Receiving = nil }, tenant: "globex", mayReplay: 51 * 40 << 20, nobodyKnows: true},
		"not at all":     {rpo: "nothing of cluster", rto: "nothing of cluster", tenant: "globex", mayReplay: 51 * 40 << 20, receivesNever: true},
	} {
		b := standingBackups(c.written, c.age)
		if c.change != nil {
			c.change(b)
		}
		on := *cluster
		if c.receivesNever {
			on.ReplicationURL = ""
		}
		promised := promisedOf(s)["main"]
		b.RPOPromised, b.RTO = standing(b, promised)
		if b.RPOPromised != 4*time.Second || (b.RTO == nil) != (c.tenant == "") || b.RTO != nil && b.RTO.Tenant != c.tenant {
			t.Errorf("%s: promised are %s and %+v", name, b.RPOPromised, b.RTO)
		}
		whole := cmp.Or(c.whole, 2220) << 20
		if c.tenant == "" {
			whole = 0
		}
		if n, w := mayReplay(&b.Overview, promised); n != c.mayReplay || w != whole {
			t.Errorf("%s: %d bytes may be replayed, and %d, want %d and %d", name, n, w, c.mayReplay, whole)
		}
		broken, known := config.broken(&on, b, promised)
		for limit, want := range map[string]string{"backup_rpo": c.rpo, "backup_rto": c.rto} {
			if why := broken[limit]; known == c.nobodyKnows || (why == "") != (want == "") || !strings.Contains(why, want) {
				t.Errorf("%s: of %s is told %q", name, limit, why)
			}
		}
	}
}

// TestBrokenPromisesAreToldOnce has no store at first, and then no promises.
func TestBrokenPromisesAreToldOnce(t *testing.T) {
	var log bytes.Buffer
	d := &daemon{log: slog.New(slog.NewTextHandler(&log, nil))}
	tell := func(text, want string, n int) {
		t.Helper()
		config := mustLoad(t, text)
		s, err := config.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		d.config, d.registry = config, tenants.NewRegistry(s)
		log.Reset()
		d.tellPromises()
		if lines := strings.Count(log.String(), "\n"); lines != n || strings.Count(log.String(), want) < n {
			t.Errorf("%q is to be told %d times, and told is %s", want, n, log.String())
		}
	}
	tell(promising, "a promise of backups is not kept", 2)
	tell(promising, "", 0)
	tell(strings.ReplaceAll(promising, "backup_rto", "#"), "a promise of backups is kept again\" cluster=main setting=backup_rto", 1)
	tell(strings.ReplaceAll(promising, "backup_r", "#"), "", 0)
	tell(promising, "a promise of backups is not kept", 2)
}

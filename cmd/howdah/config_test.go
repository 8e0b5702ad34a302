package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/tenants"
)

const (
	scramVerifier = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
	md5Verifier   = "md50123456789abcdef0123456789abcdef"
)

// fullConfig uses every section.
const fullConfig = `
[listen]
addresses = ["127.0.0.1:7432", "[::1]:7432"]
unix_socket_dir = "."
unix_socket_mode = 0o770
auth_type = "md5"

[admin]
http = ""
users = ["root"]
stats_users = ["monitor"]

[server]
loops = 2
log_level = "debug"
client_login_timeout = 5
drain_timeout = 1.5
max_packet_size = "64MB"
listen_keep = ["news"]
listen_filter = false
tcp_keepalive = false

[defaults]
pool_size = 10
query_wait_timeout = "1m30s"

[[cluster]]
name = "main"
members = ["127.0.0.1:5442", "/run/.s.PGSQL.5443"]
admin_url = "postgres://postgres@127.0.0.1:5442/postgres"
budget = 50
tls_mode = "verify-full"

[[cluster]]
name = "other"
members = ["db:5432"]

[[tier]]
name = "gold"
pool_size = 30
weight = 4

[[tenant]]
name = "acme"
cluster = "main"
tier = "gold"
min_pool_size = 3
loops = 2

[[tenant]]
name = "globex"
cluster = "other"
database = "globex_db"
user = "monitor"
pool_mode = "session"
state = "suspended"

[[tenant]]
name = "*"
cluster = "other"

[[user]]
name = "acme"
verifier = "` + scramVerifier + `"
[[user]]
name = "monitor"
verifier = "` + md5Verifier + `"
[[user]]
name = "root"
verifier = "` + scramVerifier + `"
`

func mustLoad(t *testing.T, text string) *Config {
	t.Helper()
	c, err := LoadConfig(writeFile(t, "howdah.toml", text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoadConfigReadsEverySection(t *testing.T) {
	c := mustLoad(t, fullConfig)
	dir := filepath.Dir(c.Path)
	wantListen := Listen{
		Addresses: []string{"127.0.0.1:7432", "[::1]:7432"}, UnixSocketDir: dir,
		UnixSocketMode: 0o770, TLSMode: "disable", AuthType: "md5", ProxyFrom: []string{},
		LoginFailuresPerAddress: 60, LoginFailuresPerTenant: 6000, CancelFailuresPerAddress: 300,
	}
	if !reflect.DeepEqual(c.Listen, wantListen) {
		t.Errorf("listen\n%+v, want\n%+v", c.Listen, wantListen)
	}
	wantServer := Server{
		Loops: 2, LogLevel: slog.LevelDebug, ClientLoginTimeout: 5 * time.Second, DrainTimeout: 1500 * time.Millisecond,
		MaxPacketSize: 64 << 20, ListenKeep: []string{"news"}, TopStatements: 20, TopStatementTime: 100 * time.Millisecond, ListenFilter: false,
	}
	if !reflect.DeepEqual(c.Server, wantServer) {
		t.Errorf("server\n%+v, want\n%+v", c.Server, wantServer)
	}
	if want := (Admin{Users: []string{"root"}, StatsUsers: []string{"monitor"}, MetricsTenants: 50, ClientRoles: []string{}, RequestsPerSecond: 500, TokenFailuresPerAddress: 60}); !reflect.DeepEqual(c.Admin, want) {
		t.Errorf("admin %+v, want %+v", c.Admin, want)
	}
	wantCluster := tenants.Cluster{
		Name: "main", Members: []tenants.Member{{Address: "127.0.0.1:5442"}, {Address: "/run/.s.PGSQL.5443"}},
		AdminURL: "postgres://postgres@127.0.0.1:5442/postgres", Budget: 50, BudgetReserve: -1, SeatQuantum: 500 * time.Millisecond, MaxLag: 10 * time.Second, MinStandbys: 1, Writers: "howdah", TLSMode: "verify-full", Placement: "shared",
		AuthQuery: defaultAuthQuery, AuthDatabase: "postgres",
	}
	if !reflect.DeepEqual(c.Clusters[0], wantCluster) {
		t.Errorf("cluster\n%+v, want\n%+v", c.Clusters[0], wantCluster)
	}
	if c.Clusters[1].TLSMode != "prefer" {
		t.Errorf("tls_mode of a cluster is %q by default", c.Clusters[1].TLSMode)
	}
	if got, want := c.SocketPath(), filepath.Join(dir, ".s.PGSQL.7432"); got != want {
		t.Errorf("socket %q, want %q", got, want)
	}
}

func TestTenantsInheritLimits(t *testing.T) {
	s, err := mustLoad(t, fullConfig).Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	acme, _ := s.Lookup("acme", "acme")
	globex, _ := s.Lookup("globex", "monitor")
	if acme == nil || globex == nil {
		t.Fatal("tenants are missing")
	}
	for what, ok := range map[string]bool{
		"acme's own min_pool_size":         acme.Limits.MinPoolSize == 3,
		"acme's own loops":                 acme.Loops == 2,
		"acme's pool_size from its tier":   acme.Limits.PoolSize == 30,
		"acme's weight from its tier":      acme.Limits.Weight == 4,
		"acme's wait from [defaults]":      acme.Limits.QueryWaitTimeout == 90*time.Second,
		"acme's lifetime from Howdah":      acme.Limits.ServerLifetime == time.Hour,
		"acme's database and user":         acme.Database == "acme" && acme.User == "acme",
		"globex's pool_size":               globex.Limits.PoolSize == 10,
		"globex's mode, state and cluster": globex.Limits.PoolMode == tenants.Session && globex.State == tenants.Suspended && globex.Cluster == "other",
		"globex's database and user":       globex.Database == "globex_db" && globex.User == "monitor",
		"read_split":                       acme.Reads.Split == "declared" && globex.Reads.Split == "declared",
	} {
		if !ok {
			t.Errorf("%s is wrong: acme %+v, globex %+v", what, acme, globex)
		}
	}
	any, ok := s.Lookup("whatever", "x")
	if !ok || any.Cluster != "other" || any.Database != "whatever" || any.Limits.PoolSize != 10 {
		t.Errorf("the fallback gives %+v", any)
	}
	if g, ok := s.Tier("gold"); !ok || g.Limits.PoolSize != 30 || g.Limits.QueryWaitTimeout != 90*time.Second {
		t.Errorf("tier gold %+v", g)
	}
}

// Where the only cluster is, a tenant need not say; and tiers may follow the
// tenants that use them.
func TestOrderInTheFileDoesNotMatter(t *testing.T) {
	c := mustLoad(t, `
[[tenant]]
name = "acme"
tier = "gold"
[[user]]
name = "acme"
verifier = "`+scramVerifier+`"
[[tier]]
name = "gold"
pool_size = 9
[[cluster]]
name = "main"
members = ["127.0.0.1:5432"]
[defaults]
weight = 5
`)
	if tn := c.Tenants[0]; tn.Cluster != "main" || tn.Limits.PoolSize != 9 || tn.Limits.Weight != 5 {
		t.Errorf("tenant %+v", tn)
	}
}

// Every setting, given its default as the manual writes it, is what leaving it
// out is.
func TestDefaultsMayBeWrittenOut(t *testing.T) {
	const rest = "[[cluster]]\nname = \"main\"\nmembers = [\"127.0.0.1:5432\"]\n"
	var text strings.Builder
	in := section("")
	for _, s := range settings() {
		if !s.section.once() {
			continue
		}
		if s.section != in {
			in = s.section
			fmt.Fprintln(&text, in.header())
		}
		fmt.Fprintf(&text, "%s = %s\n", s.name, s.defaultText())
	}
	written, empty := mustLoad(t, text.String()+rest), mustLoad(t, rest)
	written.Path, written.source = empty.Path, empty.source
	if !reflect.DeepEqual(written, empty) {
		t.Errorf("written out\n%+v\nleft out\n%+v", written, empty)
	}
}

// What SHOW CONFIG prints of a file, written into a file, prints the same.
func TestShownValuesRoundTrip(t *testing.T) {
	c := mustLoad(t, fullConfig)
	at := c.place()
	var text strings.Builder
	for _, s := range settings() {
		if !s.section.once() {
			continue
		}
		value := show(s.at(at))
		switch s.at(at).(type) {
		case *[]string:
			value = fmt.Sprintf("[%q]", strings.Join(strings.Split(value, ","), "\", \""))
			if value = strings.ReplaceAll(value, `\"`, `"`); value == `[""]` {
				value = "[]"
			}
		case *bool:
			value = map[string]string{"0": "false", "1": "true"}[value]
		case *int, *int64, *time.Duration:
		default:
			value = fmt.Sprintf("%q", value)
		}
		fmt.Fprintf(&text, "%s.%s = %s\n", s.section, s.name, value)
	}
	text.WriteString(fullConfig[strings.Index(fullConfig, "[[cluster]]"):])
	again := mustLoad(t, text.String())
	if !slices.Equal(c.Settings(), again.Settings()) {
		t.Errorf("first\n%v\nagain\n%v", c.Settings(), again.Settings())
	}
}

func TestSettingsShowValueAndDefault(t *testing.T) {
	rows := mustLoad(t, fullConfig).Settings()
	for _, want := range []Setting{
		{"listen_addr", "127.0.0.1:7432,[::1]:7432", "127.0.0.1:6432", false},
		{"unix_socket_mode", "0770", "0777", false},
		{"log_level", "debug", "info", true},
		{"drain_timeout", "1.5", "30", true},
		{"max_packet_size", "67108864", "1073741824", true},
		{"max_client_conn", "0", "0", true},
		{"default_pool_size", "10", "20", true},
		{"query_wait_timeout", "90", "120", true},
		{"pool_mode", "transaction", "transaction", true},
		{"admin_users", "root", "", true},
		{"tcp_keepalive", "0", "1", true},
	} {
		if !slices.Contains(rows, want) {
			t.Errorf("no row %v in\n%v", want, rows)
		}
	}
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.Key] {
			t.Errorf("key %q is there twice", r.Key)
		}
		seen[r.Key] = true
		if strings.Contains(r.Value, "SCRAM-SHA-256$") {
			t.Errorf("%s shows a secret", r.Key)
		}
	}
}

func TestDiffNamesWhatNeedsARestart(t *testing.T) {
	before := mustLoad(t, fullConfig)
	text := strings.NewReplacer(
		`"127.0.0.1:7432", `, "", "loops = 2\nlog_level = \"debug\"", "loops = 3\nlog_level = \"warn\"",
		"min_pool_size = 3\nloops = 2", "min_pool_size = 1", "pool_size = 10", "pool_size = 11",
	).Replace(fullConfig)
	after := mustLoad(t, text)
	after.Listen.UnixSocketDir = before.Listen.UnixSocketDir // each file has a folder of its own
	want := []string{"listen.addresses", "server.loops", "tenant acme loops"}
	if got := before.Diff(after); !slices.Equal(got, want) {
		t.Errorf("Diff %q, want %q", got, want)
	}
	if got := before.Diff(before); len(got) != 0 {
		t.Errorf("Diff with itself %q", got)
	}
}

func TestSocketDirectoryAuto(t *testing.T) {
	c := mustLoad(t, "[[cluster]]\nname = \"main\"\nmembers = [\"127.0.0.1:5432\"]\n")
	info, err := os.Stat(c.Listen.UnixSocketDir)
	if err != nil || !info.IsDir() {
		t.Fatalf("unix_socket_dir %q: %v", c.Listen.UnixSocketDir, err)
	}
	if c.Listen.UnixSocketMode != fs.ModePerm || !strings.HasSuffix(c.SocketPath(), "/.s.PGSQL.6432") {
		t.Errorf("socket %q with mode %v", c.SocketPath(), c.Listen.UnixSocketMode)
	}
}

func TestConfigErrorOfAFileThatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.toml")
	_, err := LoadConfig(path)
	var config *ConfigError
	if !errors.As(err, &config) {
		t.Fatalf("error %T: %v", err, err)
	}
	if want := path + ": cannot be read: no such file or directory; name the file with -c"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

// FuzzParseConfig: no text panics, and of a config without mistakes a Snapshot
// can be made.
func FuzzParseConfig(f *testing.F) {
	f.Add(fullConfig)
	f.Add(good)
	f.Add("[listen]\naddresses = [\"0.0.0.0:1\"]\nauth_type = \"trust\"\n[tenants]\n[[tier]]\nname = 1\n")
	f.Add("tenant = [{name = \"*\", cluster = \"\"}, {}]\ncluster = [{}]\nuser = [{verifier = \"md5\"}]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig("howdah.toml", "/nowhere", text)
		if err != nil {
			var config *ConfigError
			if !errors.As(err, &config) || len(config.Mistakes) == 0 {
				t.Fatalf("error %T without a mistake: %v", err, err)
			}
			return
		}
		if _, err := c.Snapshot(); err != nil {
			t.Fatalf("a config without mistakes gives no snapshot: %v", err)
		}
		c.Settings()
	})
}

package main

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"howdah/router/hba"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// Config is a howdah.toml that was read and found free of mistakes. What each
// setting means is in the settings table; here is where its value lands.
type Config struct {
	Path    string // of the file, as given
	Listen  Listen
	Admin   Admin
	Server  Server
	Catalog Catalog
	Backup  Backup
	Stores  []Store // beside that of Backup

	// Defaults are what tiers and tenants inherit. Its name is empty.
	Defaults tenants.Tier
	Clusters []tenants.Cluster
	Tiers    []tenants.Tier
	Tenants  []tenants.Tenant // limits resolved
	Users    []tenants.User

	// HBA are the rules of Listen.HBAFile, nil without one; Maps are theirs.
	HBA  *hba.Rules
	Maps *hba.Maps

	MasterKey *catalog.MasterKey // of Catalog.MasterKeyFile; nil without one

	main Store // that of Backup, if there is one

	// Notes are worth an operator's look but no mistakes.
	Notes []Mistake

	source source
}

// Listen is where clients come in and how they prove who they are.
type Listen struct {
	Addresses      []string
	UnixSocketDir  string // absolute; "" = no socket
	UnixSocketMode fs.FileMode
	// UnixSocketGroup is a name or number; "" = that of the process.
	UnixSocketGroup string
	TLSMode         string // disable, allow, prefer, require
	TLSCertFile     string // this and the next two: absolute, or ""
	TLSKeyFile      string
	TLSCAFile       string
	AuthType        string // scram-sha-256, md5, trust, cert; not looked at with an HBAFile
	HBAFile         string // this and the next: absolute, or ""
	HBAIdentFile    string
	ProxyFrom       []string // addresses and networks, see proxies

	// Failures a minute; 0 = no limit.
	LoginFailuresPerAddress  int
	LoginFailuresPerTenant   int
	CancelFailuresPerAddress int
}

// Admin is the second door: HTTP, and who may use the console.
type Admin struct {
	HTTP        string // address; "" = no HTTP
	TLSCertFile string // this and the next two: absolute, or ""
	TLSKeyFile  string
	TLSCAFile   string
	ClientRoles []string // see ClientRole
	Users       []string
	StatsUsers  []string

	RequestsPerSecond       int // this and the next: 0 = no limit
	TokenFailuresPerAddress int // a minute
	MetricsTenants          int // with time series of their own
}

// Server holds what is one for the whole process.
type Server struct {
	Loops              int // 0 = one per CPU
	LogLevel           slog.Level
	ClientLoginTimeout time.Duration // 0 = no limit
	MaxClientConn      int           // over all tenants; 0 = no limit
	DrainTimeout       time.Duration // 0 = no limit
	MaxPacketSize      int64         // bytes
	ListenKeep         []string
	ListenFilter       bool
	TopStatements      int // per tenant; 0 = none
	TopStatementTime   time.Duration
	TCPKeepalive       bool
	TCPKeepidle        time.Duration // this and the next three: 0 = the system's
	TCPKeepintvl       time.Duration
	TCPKeepcnt         int
	TCPUserTimeout     time.Duration
}

// Catalog is where tenants are kept that are not in the file.
type Catalog struct {
	URL   string // "" = none
	Cache string // absolute, or ""

	MasterKeyFile string // absolute, or ""

	OdooAddonsPath []string // absolute, some with a version in front
}

// Backup is where exports are kept.
type Backup struct {
	Store        string   // "" = nowhere
	Recipients   []string // age's public keys
	IdentityFile string   // this and the next two: absolute, or ""
	ScratchDir   string
	WALSocket    string // absolute; "" = none
	FilestoreDir string // absolute; "" = not here
	// CredentialsFile says who asks for a bucket; "" is the environment.
	CredentialsFile string
	ReadRate        int64         // bytes a second, of Store; 0 = no limit
	WriteRate       int64         // so too
	BaseMaxRate     int64         // bytes a second; 0 = no limit
	DrillInterval   time.Duration // 0 = never
	DrillWhat       string        // database, cluster
	WALInterval     time.Duration // how old WAL may get before it is stored

	BaseInterval        time.Duration // between base backups of a cluster; 0 = only those that are asked for
	BaseChangesInterval time.Duration // between one and the next incremental one; 0 = none
	StateDir            string        // absolute; "" = none
	KeepBase            int           // base backups that stay, at least
	KeepWindow          time.Duration // in which every moment stays restorable
	KeepExportsWindow   time.Duration // 0 = for ever
}

// LoadConfig reads the file. If anything in it is wrong the error is a
// *ConfigError that lists every mistake; if it cannot be read, one that says so.
// Relative paths in the file start at the file's folder.
func LoadConfig(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &ConfigError{Path: path, Mistakes: []Mistake{{
			Problem: fmt.Sprintf("cannot be read: %v", unwrapPath(err)),
			Remedy:  "name the file with -c",
		}}}
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("find the folder of %q: %w", path, err)
	}
	return parseConfig(path, dir, string(text))
}

// Snapshot returns the file's tenants and what they refer to.
func (c *Config) Snapshot() (*tenants.Snapshot, error) {
	s, err := tenants.NewSnapshot(c.Clusters, c.Tiers, c.Tenants, c.Users)
	if err != nil {
		return nil, fmt.Errorf("make a snapshot of %q: %w", c.Path, err)
	}
	return s, nil
}

// SocketPath returns the path of the Unix socket clients look for, named by the
// port of the first address as psql does; "" without a unix_socket_dir.
func (c *Config) SocketPath() string {
	if c.Listen.UnixSocketDir == "" {
		return ""
	}
	return filepath.Join(c.Listen.UnixSocketDir, ".s.PGSQL."+firstPort(c.Listen.Addresses))
}

// Setting is one row of SHOW CONFIG. Durations are in seconds.
type Setting struct {
	Key, Value, Default string
	Changeable          bool // by a reload
}

// Settings returns the process's settings and the defaults of limits, in the
// table's order.
func (c *Config) Settings() []Setting {
	var rows []Setting
	at := c.place()
	initial := defaultConfig().place()
	for _, s := range settings() {
		if !s.section.once() {
			continue
		}
		rows = append(rows, Setting{
			Key: s.key(), Value: s.show(at), Default: show(s.at(initial)), Changeable: s.reload,
		})
	}
	return rows
}

// Diff names the settings that differ in next but cannot change while running,
// as the file spells them: "listen.addresses", "tenant acme loops".
func (c *Config) Diff(next *Config) []string {
	var changed []string
	a, b := c.place(), next.place()
	for _, s := range settings() {
		if s.section.once() && s.section != sectionLimits && !s.reload && show(s.at(a)) != show(s.at(b)) {
			changed = append(changed, string(s.section)+"."+s.name)
		}
	}
	before := make(map[string]int, len(c.Tenants))
	for i := range c.Tenants {
		before[c.Tenants[i].Name] = c.Tenants[i].Loops
	}
	for i := range next.Tenants {
		t := &next.Tenants[i]
		if loops, ok := before[t.Name]; ok && loops != t.Loops {
			changed = append(changed, "tenant "+t.Name+" loops")
		}
	}
	return changed
}

// place returns where the settings that exist once are kept.
func (c *Config) place() *place {
	return &place{listen: &c.Listen, admin: &c.Admin, server: &c.Server, catalog: &c.Catalog, backup: &c.Backup, limits: &c.Defaults}
}

// defaultConfig returns what an empty file means.
func defaultConfig() *Config {
	c := &Config{}
	at := c.place()
	for _, s := range settings() {
		if s.section.once() {
			s.setDefault(at)
		}
	}
	return c
}

// tier returns the tier of that name; nil if there is none.
func (c *Config) tier(name string) *tenants.Tier {
	i := slices.IndexFunc(c.Tiers, func(t tenants.Tier) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Tiers[i]
}

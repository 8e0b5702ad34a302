package postgres

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
)

// Superuser is the name of every server's superuser role.
const Superuser = "postgres"

// settingsFile holds Config.Settings inside the data directory. It is written
// once; what an operator changes there, or with ALTER SYSTEM, stays.
const settingsFile = "howdah.conf"

// maxSocketPath is the longest Unix socket path the kernel takes, in bytes
// (sockaddr_un has 108, one is the closing zero).
const maxSocketPath = 107

// Config says where a server lives and how it is reached. Dir, SocketDir and
// Port are required.
type Config struct {
	Dir       string // data directory, absolute; its parent must exist
	SocketDir string // folder of the Unix socket, absolute; see MakeSocketDir
	Host      string // TCP address to listen on; "" is 127.0.0.1
	Port      int    // of TCP and of the socket's name
	Log       string // file the server's log is appended to; "" is Dir + ".log"

	Settings map[string]string // postgresql.conf settings, values unquoted; used at creation only
	HBA      []string          // pg_hba.conf lines put before ours; used at creation only
	NoSync   bool              // creation does not wait for the disk: for tests
	InitArgs []string          // more arguments of initdb, as --wal-segsize=64

	Scratch  bool              // it runs as ScratchUser, if we are root
	Override map[string]string // settings given at every start: they go before those of all files
}

func (c Config) withDefaults() Config {
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if c.Log == "" {
		c.Log = c.Dir + ".log"
	}
	return c
}

func (c Config) validate() error {
	if !filepath.IsAbs(c.Dir) || !filepath.IsAbs(c.SocketDir) {
		return fmt.Errorf("data directory %q and socket folder %q must be absolute paths", c.Dir, c.SocketDir)
	}
	if c.Port < 1 || c.Port > 65535 {
		return fmt.Errorf("port %d is not between 1 and 65535", c.Port)
	}
	if path := c.socketPath(); len(path) > maxSocketPath {
		return fmt.Errorf("socket path %q is longer than %d bytes: use MakeSocketDir", path, maxSocketPath)
	}
	return nil
}

func (c Config) socketPath() string {
	return filepath.Join(c.SocketDir, fmt.Sprintf(".s.PGSQL.%d", c.Port))
}

// defaultHBA lets the superuser in by peer on the Unix socket, and everybody
// else, there and over TCP, with SCRAM. There is no "trust" in it.
func defaultHBA() []string {
	return []string{
		"local all         postgres              peer map=howdah",
		"local replication postgres              peer map=howdah",
		"local all         all                   scram-sha-256",
		"host  all         all      127.0.0.1/32 scram-sha-256",
		"host  all         all      ::1/128      scram-sha-256",
		"host  replication all      127.0.0.1/32 scram-sha-256",
		"host  replication all      ::1/128      scram-sha-256",
	}
}

// identMap names the OS users who may be the superuser: the server's, root, and
// whoever made the server.
func identMap(a account) []string {
	names := []string{a.name, "root"}
	if u, err := user.Current(); err == nil {
		names = append(names, u.Username)
	}
	slices.Sort(names)
	var lines []string
	for _, name := range slices.Compact(names) {
		lines = append(lines, fmt.Sprintf("howdah %q %s", name, Superuser))
	}
	return lines
}

// writeFiles puts our settings and rules into the fresh data directory dir.
func (c Config) writeFiles(a account, dir string) error {
	var settings []string
	for _, name := range slices.Sorted(maps.Keys(c.Settings)) {
		settings = append(settings, name+" = "+quoteSetting(c.Settings[name]))
	}
	files := []struct {
		name  string
		lines []string
	}{
		{settingsFile, settings},
		{"pg_hba.conf", append(slices.Clone(c.HBA), defaultHBA()...)},
		{"pg_ident.conf", identMap(a)},
	}
	for _, f := range files {
		if err := writeOwned(a, filepath.Join(dir, f.name), strings.Join(f.lines, "\n")+"\n"); err != nil {
			return err
		}
	}
	return appendOnce(filepath.Join(dir, "postgresql.conf"), "include_if_exists = '"+settingsFile+"'\n")
}

func writeOwned(a account, path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return a.chown(path)
}

// appendOnce adds line to the file unless it is there: a standby's files are
// copies of its primary's.
func appendOnce(path, line string) (err error) {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if strings.Contains(string(old), line) {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString("\n" + line)
	return err
}

// quoteSetting writes a value as postgresql.conf wants it.
func quoteSetting(value string) string {
	return "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(value) + "'"
}

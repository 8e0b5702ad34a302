package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/tenants"
)

// bouncer is a running PgBouncer whose console anybody may ask.
type bouncer struct {
	t    *testing.T
	conn *pgconn.PgConn
}

// findBouncer takes $HOWDAH_PGBOUNCER, or the one that is installed.
func findBouncer(t *testing.T) string {
	t.Helper()
	paths := []string{os.Getenv("HOWDAH_PGBOUNCER")}
	if paths[0] == "" {
		paths = nil
		for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
			paths = append(paths, filepath.Join(dir, "pgbouncer"))
		}
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	t.Fatalf("no PgBouncer in %q: apt-get install pgbouncer, or set HOWDAH_PGBOUNCER", paths)
	return ""
}

// startBouncer runs a PgBouncer on what the settings and other sections say; its
// own socket comes with them. It returns the file, too.
func startBouncer(t *testing.T, settings, sections string) (*bouncer, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "howdah-import")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pgbouncer.ini")
	port := freePort(t)
	text := fmt.Sprintf("[pgbouncer]\nlisten_port = %d\nunix_socket_dir = %s\nauth_type = any\n%s\n%s", port, dir, settings, sections)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(findBouncer(t), path)
	var log strings.Builder
	cmd.Stderr = &log
	asNobody(t, cmd, dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	dsn := fmt.Sprintf("host=%s port=%d user=x dbname=pgbouncer", dir, port)
	for deadline := time.Now().Add(20 * time.Second); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		conn, err := pgconn.Connect(ctx, dsn)
		cancel()
		if err == nil {
			t.Cleanup(func() { conn.Close(context.Background()) })
			return &bouncer{t: t, conn: conn}, path
		}
		select {
		case <-exited:
			t.Fatalf("PgBouncer ended\n%s\n%s", log.String(), text)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("PgBouncer does not answer: %v", err)
		}
	}
}

// freePort names the socket; nothing listens on TCP.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// asNobody: PgBouncer does not run as root.
func asNobody(t *testing.T, cmd *exec.Cmd, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
}

// show asks the console: rows by column.
func (b *bouncer) show(what string) []map[string]string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	results, err := b.conn.Exec(ctx, "SHOW "+what).ReadAll()
	if err != nil || len(results) != 1 {
		b.t.Fatalf("SHOW %s: %d results, %v", what, len(results), err)
	}
	var rows []map[string]string
	for _, values := range results[0].Rows {
		row := make(map[string]string)
		for i, f := range results[0].FieldDescriptions {
			row[f.Name] = string(values[i])
		}
		rows = append(rows, row)
	}
	return rows
}

// config is SHOW CONFIG.
func (b *bouncer) config() map[string]string {
	all := make(map[string]string)
	for _, row := range b.show("CONFIG") {
		all[row["key"]] = row["value"]
	}
	return all
}

// recordedSettings are those of PgBouncer 1.26 with their defaults.
func recordedSettings(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(importSamples, "settings-1.26.txt"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if name, initial, ok := strings.Cut(line, "|"); ok && name[0] != '#' {
			all[name] = initial
		}
	}
	if len(all) < 95 {
		t.Fatalf("only %d settings", len(all))
	}
	return all
}

// No setting is forgotten: neither one of 1.26 nor one of the PgBouncer that is
// installed, and the defaults that the table goes by are PgBouncer's.
func TestImportKnowsEverySettingOfPgBouncer(t *testing.T) {
	notShown := []string{"service_name", "suspend_timeout"} // another name for job_name; of older versions
	b, _ := startBouncer(t, "", "[databases]\n")
	all := recordedSettings(t)
	for name := range b.config() {
		if _, ok := all[name]; !ok && !slices.Contains(notShown, name) {
			t.Errorf("the installed PgBouncer has %s, which testdata/import/settings-1.26.txt does not", name)
		}
	}
	for name, initial := range all {
		s := bouncerSettingOf(bouncerSettings(), name)
		switch {
		case s == nil:
			t.Errorf("%s is not in the table", name)
		case s.initial != "" && s.initial != initial:
			t.Errorf("%s is %q by default, the table says %q", name, initial, s.initial)
		case s.initial == "" && settingRow(s.in, s.as) != nil && name != "max_packet_size": // PostgreSQL takes no longer ones than Howdah
			got, err := translateValue(s, settingRow(s.in, s.as), initial)
			if err != nil || !sameAsDefault(settingRow(s.in, s.as), got.value) {
				t.Errorf("%s is %q by default and ours is another, so the table must have an initial (%v)", name, initial, err)
			}
		}
	}
	names := make(map[string]bool)
	for _, s := range bouncerSettings() {
		if names[s.name] {
			t.Errorf("%s is in the table twice", s.name)
		}
		names[s.name] = true
		if row := settingRow(s.in, s.as); row == nil && !s.own && s.why == "" {
			t.Errorf("%s has no equivalent and no reason", s.name)
		}
		if _, ok := all[s.name]; !ok && !slices.Contains(notShown, s.name) {
			t.Errorf("the table has %s, PgBouncer does not", s.name)
		}
	}
}

// Each setting a file gives is named in the output, also where it has the
// default.
func TestImportNamesEverySettingThatIsGiven(t *testing.T) {
	for name, initial := range recordedSettings(t) {
		if initial == "" {
			initial = map[string]string{"verbose": "0", "listen_addr": "localhost"}[name]
		}
		text, err := importPgbouncer("p.ini", fakeFiles(fmt.Sprintf("[databases]\na = host=h\n[pgbouncer]\n%s = %s\n", name, initial)), fixedSalt)
		if err != nil {
			t.Errorf("%s = %s: %v", name, initial, err)
			continue
		}
		if !strings.Contains(strings.ReplaceAll(text, "\n# ", " "), "p.ini:4: "+name) {
			switch name {
			case "auth_file", "auth_hba_file", "auth_ident_file", "server_tls_ca_file", "unix_socket_dir": // "" names no file
			default:
				t.Errorf("%s is not named:\n%s", name, text)
			}
		}
	}
}

// What PgBouncer understands of a file and what Howdah understands of its
// translation are the same numbers.
func TestImportedLimitsAreThoseOfPgBouncer(t *testing.T) {
	first, _ := startBouncer(t, "", "[databases]\n")
	known := first.config()
	var settings strings.Builder
	for i, s := range bouncerSettings() {
		if _, ok := known[s.name]; !ok || settingRow(s.in, s.as) == nil {
			continue
		}
		value := strconv.Itoa(20 + i)
		switch s.name {
		case "pool_mode":
			value = "Statement"
		case "min_pool_size":
			value = "0x3"
		case "tcp_keepalive":
			value = "0"
		case "max_packet_size":
			value = "65536"
		case "reserve_pool_timeout", "query_timeout":
			value += ".5"
		case "unix_socket_group": // PgBouncer must be in it
			value = ""
		}
		fmt.Fprintf(&settings, "%s = %s\n", s.name, value)
	}
	databases := `[databases]
plain = host=127.0.0.1
plain = host = 127.0.0.2   port=05 pool_size='010'
dot.ted-1 = port=5434 port=5435 host=h dbname=a=b
renamed = host=db1.example.com port=5433 dbname='the real one' pool_size=7 min_pool_size=2 reserve_pool=4 pool_mode=session
small = host=::1 pool_size=1
socket = host=/run/postgresql pool_mode=transaction
[users]
[databases] again = host=h
	 inner = dbname='it''s' host=h
`
	if _, ok := known["max_db_client_connections"]; ok {
		databases += "new = host=127.0.0.1 max_db_client_connections=77 server_lifetime=99\n"
	}
	b, path := startBouncer(t, settings.String(), databases)
	text, err := importPgbouncer(path, os.ReadFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig("printed", ".", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, s := range bouncerSettings() {
		row, theirs := settingRow(s.in, s.as), b.config()[s.name]
		if theirs == "" || row == nil {
			continue
		}
		if s.kind == kindMillis {
			n, _ := strconv.ParseFloat(theirs, 64)
			theirs = strconv.FormatFloat(n/1000, 'f', -1, 64)
		}
		if ours := show(row.at(c.place())); ours != theirs {
			t.Errorf("%s is %s, %s.%s is %s", s.name, theirs, row.section, row.name, ours)
		}
	}
	b.compareDatabases(c)
}

// compareDatabases compares SHOW DATABASES with the tenants.
func (b *bouncer) compareDatabases(c *Config) {
	seen := 0
	for _, row := range b.show("DATABASES") {
		i := slices.IndexFunc(c.Tenants, func(x tenants.Tenant) bool { return x.Name == row["name"] })
		if i < 0 {
			if row["name"] != "pgbouncer" {
				b.t.Errorf("no tenant %q", row["name"])
			}
			continue
		}
		seen++
		x := c.Tenants[i]
		mode := row["pool_mode"]
		if mode == "" {
			mode = c.Defaults.Limits.PoolMode.String()
		}
		reserve, ok := row["reserve_pool_size"]
		if !ok {
			reserve = row["reserve_pool"] // before 1.23
		}
		theirs := []string{row["database"], row["pool_size"], reserve, mode}
		ours := []string{x.Database, strconv.Itoa(x.Limits.PoolSize), strconv.Itoa(x.Limits.ReservePoolSize), x.Limits.PoolMode.String()}
		if n, _ := strconv.Atoi(row["min_pool_size"]); min(n, x.Limits.PoolSize) != x.Limits.MinPoolSize {
			b.t.Errorf("%s: min_pool_size %d, PgBouncer's %d", x.Name, x.Limits.MinPoolSize, n)
		}
		if n, ok := row["max_client_connections"]; ok {
			theirs, ours = append(theirs, n), append(ours, strconv.Itoa(x.Limits.MaxClientConn))
			theirs = append(theirs, row["server_lifetime"])
			ours = append(ours, strconv.Itoa(int(x.Limits.ServerLifetime.Seconds())))
		}
		at := slices.IndexFunc(c.Clusters, func(k tenants.Cluster) bool { return k.Name == x.Cluster })
		member := c.Clusters[at].Members[0].Address
		theirs = append(theirs, memberOf(row["host"], row["port"]))
		ours = append(ours, member)
		if !slices.Equal(theirs, ours) {
			b.t.Errorf("%s: %q, PgBouncer has %q", x.Name, ours, theirs)
		}
	}
	if seen != len(c.Tenants) {
		b.t.Errorf("%d of %d tenants are PgBouncer's", seen, len(c.Tenants))
	}
}

func memberOf(host, port string) string {
	if strings.HasPrefix(host, "/") {
		return host + "/.s.PGSQL." + port
	}
	return net.JoinHostPort(host, port)
}

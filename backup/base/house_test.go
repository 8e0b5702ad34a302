package base

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// newRepository returns an empty one in a folder of the test's own, and its store.
func newRepository(t *testing.T) (*repository.Repository, *store.Dir) {
	dir := storetest.NewDir(t)
	return &repository.Repository{Store: dir, Sealer: storetest.NewSealer(t), Cluster: "main"}, dir
}

func newSealer(t *testing.T, identity string, recipients ...string) *store.Sealer {
	t.Helper()
	s, err := store.NewSealer(recipients, identity)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cluster is a server with two tenants, and a tablespace that both have a table in, whose
// WAL goes to a folder.
type cluster struct {
	*testing.T
	*postgres.Server
	binaries postgres.Binaries
	wal      string
	space    string // the tablespace's folder
	spaceOID uint32
}

var tenants = []string{"acme", "globex"}

func newCluster(t *testing.T, binaries postgres.Binaries) *cluster {
	t.Helper()
	place := wiretest.ServerDir(t)
	c := &cluster{T: t, binaries: binaries, wal: filepath.Join(place, "wal"), space: filepath.Join(place, "space")}
	for _, folder := range []string{c.wal, c.space} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := ownedByServer(folder); err != nil {
			t.Fatal(err)
		}
	}
	settings := map[string]string{"wal_level": "replica", "full_page_writes": "on", "archive_mode": "on", "archive_command": "cp %p " + c.wal + "/%f"}
	if binaries.Major >= OldestIncremental {
		settings["summarize_wal"] = "on"
	}
	var options []wiretest.PostgresOption
	for name, value := range settings {
		options = append(options, wiretest.WithSetting(name, value))
	}
	c.Server = wiretest.StartPostgresOf(t, binaries, options...)
	c.exec(postgres.Superuser, "create tablespace side location '"+c.space+"'")
	c.row(postgres.Superuser, "select oid from pg_tablespace where spcname = 'side'", &c.spaceOID)
	for _, tenant := range tenants {
		wiretest.CreateTenant(t, c.Server, tenant, "secret")
		c.exec(tenant,
			"create table accounts (id int primary key, balance int not null, note text)",
			"create table entries (id bigserial, account int, delta int) tablespace side",
			"insert into accounts select n, 0, repeat(md5(n::text), 8) from generate_series(1, 5000) n")
	}
	return c
}

// ownedByServer gives a file to the OS user that servers run as.
func ownedByServer(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}

func (c *cluster) exec(database string, statements ...string) {
	c.Helper()
	if err := c.Exec(c.Context(), database, statements...); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) row(database, query string, into ...any) {
	c.Helper()
	if err := c.QueryRow(c.Context(), database, query, nil, into...); err != nil {
		c.Fatal(err)
	}
}

// load moves money about in all tenants until it is told to stop.
func (c *cluster) load() (stop func()) {
	ctx, cancel := context.WithCancel(c.Context())
	var all sync.WaitGroup
	for _, tenant := range tenants {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				statements := []string{"begin"}
				for range 20 {
					id, delta := 1+rand.IntN(5000), rand.IntN(1000)
					statements = append(statements, fmt.Sprintf("update accounts set balance = balance + %d where id = %d", delta, id),
						fmt.Sprintf("insert into entries (account, delta) values (%d, %d)", id, delta))
				}
				statements = append(statements, "commit")
				if n%20 == 0 {
					statements = append(statements, "vacuum accounts", "vacuum entries")
				}
				if err := c.Exec(ctx, tenant, statements...); err != nil && ctx.Err() == nil {
					c.Error(err)
					return
				}
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// sums tells all that is in a tenant's tables.
func sums(t *testing.T, s *postgres.Server, tenant string) (text string) {
	t.Helper()
	err := s.QueryRow(t.Context(), tenant, `select concat_ws(' ', (select concat_ws(' ', count(*), sum(balance), sum(hashtext(a::text)::bigint)) from accounts a),
		(select concat_ws(' ', count(*), sum(delta), sum(hashtext(e::text)::bigint)) from entries e))`, nil, &text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (c *cluster) databases(ctx context.Context) (map[uint32]string, error) {
	var names []string
	var oids []uint32
	if err := c.QueryRow(ctx, postgres.Superuser, "select array_agg(oid), array_agg(datname::text) from pg_database", nil, &oids, &names); err != nil {
		return nil, err
	}
	all := map[uint32]string{}
	for i, oid := range oids {
		all[oid] = names[i]
	}
	return all, nil
}

// begin takes a base backup, on a connection of its own.
func (c *cluster) begin(ctx context.Context, r *repository.Repository, databases func(context.Context) (map[uint32]string, error), o Options) (*Manifest, error) {
	c.Helper()
	conn, err := replication.Connect(c.Context(), c.AdminURL(""))
	if err != nil {
		c.Fatal(err)
	}
	defer conn.Close(context.Background())
	return Take(ctx, r, conn, databases, o)
}

// take takes a base backup, in many objects, and commits it.
func (c *cluster) take(r *repository.Repository) *Manifest {
	c.Helper()
	return c.takeSince(r, nil, nil)
}

// takeSince is take for what has changed since.
func (c *cluster) takeSince(r *repository.Repository, since *Since, keep io.Writer) *Manifest {
	c.Helper()
	m, err := c.begin(c.Context(), r, c.databases, Options{objectSize: 1 << 20, Since: since, Keep: keep})
	if err != nil {
		c.Fatal(err)
	}
	if err := Commit(c.Context(), r, m); err != nil {
		c.Fatal(err)
	}
	return m
}

// archive waits until all WAL there is has been archived.
func (c *cluster) archive() {
	c.Helper()
	var file string
	c.row(postgres.Superuser, "select pg_walfile_name(pg_switch_wal())", &file)
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(c.wal, file)); err == nil {
			break
		}
		if time.Now().After(until) {
			c.Fatalf("WAL file %s is not archived", file)
		}
	}
	for last := ""; last < file; time.Sleep(20 * time.Millisecond) {
		c.row(postgres.Superuser, "select coalesce(last_archived_wal, '') from pg_stat_archiver", &last)
	}
}

// recover starts a server on an unpacked data directory, and has it replay the WAL.
func (c *cluster) recover(dir string, settings ...string) *postgres.Server {
	c.Helper()
	settings = append([]string{"restore_command = 'cp " + c.wal + "/%f %p'", "archive_mode = off", "recovery_target_timeline = latest", "wal_retrieve_retry_interval = 50ms"}, settings...)
	conf, err := os.OpenFile(filepath.Join(dir, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		c.Fatal(err)
	}
	if _, err := conf.WriteString("\n" + strings.Join(settings, "\n") + "\n"); err != nil {
		c.Fatal(err)
	}
	conf.Close()
	signal := filepath.Join(dir, "recovery.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		c.Fatal(err)
	}
	if err := ownedByServer(signal); err != nil {
		c.Fatal(err)
	}
	s, err := postgres.Open(c.binaries, postgres.Config{Dir: dir, SocketDir: wiretest.SocketDir(c.T, filepath.Dir(dir)), Port: wiretest.FreePort(c.T)})
	if err != nil {
		c.Fatal(err)
	}
	if err := s.Start(c.Context()); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(s.Kill)
	for recovering := true; recovering; time.Sleep(20 * time.Millisecond) {
		if err := s.QueryRow(c.Context(), postgres.Superuser, "select pg_is_in_recovery()", nil, &recovering); err != nil {
			c.Fatal(err)
		}
	}
	return s
}

// verifybackup has PostgreSQL's own program check a data directory.
func (c *cluster) verifybackup(dir string, options ...string) {
	c.Helper()
	out, err := exec.CommandContext(c.Context(), c.binaries.Path("pg_verifybackup"), append(options, "-n", dir)...).CombinedOutput()
	if err != nil {
		c.Errorf("pg_verifybackup: %v: %s", err, out)
	}
}

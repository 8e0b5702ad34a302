package router_test

import (
	"bytes"
	"context"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"howdah/wire"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// The tests of real_replication_test.go that run PostgreSQL's own tools.

// tool prepares one of PostgreSQL's programs to connect to the door as copier.
func (d *door) tool(t *testing.T, sslMode, program string, args ...string) *exec.Cmd {
	t.Helper()
	host, port, _ := net.SplitHostPort(d.address)
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, wiretest.FindPostgres(t).Path(program), args...)
	cmd.Env = append(os.Environ(), "PGHOST="+host, "PGPORT="+port, "PGUSER="+copier, "PGPASSWORD="+secret, "PGSSLMODE="+sslMode, "PGAPPNAME=tool")
	return cmd
}

// runTool runs it to its end, which must be a good one.
func runTool(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(cmd.Path), err, out)
	}
}

// startTool runs it until stop, which has it end by itself.
func startTool(t *testing.T, cmd *exec.Cmd) (stop func()) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cmd.Process.Signal(os.Interrupt)
		if err := <-ended; err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(cmd.Path), err, out.String())
		}
	}
	t.Cleanup(stop)
	return stop
}

// testBaseBackup copies the cluster, its WAL streamed by a second connection,
// and starts the copy.
func testBaseBackup(t *testing.T, h *house) {
	for _, sslMode := range []string{"disable", "require"} {
		t.Run("sslmode="+sslMode, func(t *testing.T) {
			d := h.open(t, func(s *setup) { withTLS(t, s) })
			dir := wiretest.ServerDir(t)
			data := filepath.Join(dir, "data")
			runTool(t, d.tool(t, sslMode, "pg_basebackup", "--pgdata="+data, "--wal-method=stream", "--checkpoint=fast", "--no-sync"))
			if lines := d.log.lines(`replication begins.*kind=physical`); len(lines) < 2 {
				t.Errorf("%d replication connections went through the router, want 2", len(lines))
			}
			startCopy(t, data)
		})
	}
}

// startCopy starts a server on a base backup and looks for what was in it.
func startCopy(t *testing.T, data string) {
	t.Helper()
	err := filepath.WalkDir(data, func(path string, _ fs.DirEntry, err error) error {
		giveToPostgres(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	copied, err := postgres.Open(wiretest.FindPostgres(t), postgres.Config{
		Dir: data, SocketDir: wiretest.SocketDir(t, filepath.Dir(data)), Port: wiretest.FreePort(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	defer copied.Kill()
	if err := copied.Start(ctx); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := copied.QueryRow(ctx, "acme", "select n from copied", nil, &n); err != nil || n != 42 {
		t.Errorf("the copy has %d, %v", n, err)
	}
}

// testReceiveWAL compares two segments with the server's own.
func testReceiveWAL(t *testing.T, h *house) {
	d := h.open(t)
	dir := wiretest.ServerDir(t)
	runTool(t, d.tool(t, "disable", "pg_receivewal", "--slot=archive", "--create-slot"))
	stop := startTool(t, d.tool(t, "disable", "pg_receivewal", "--directory="+dir, "--slot=archive", "--no-loop", "--no-sync"))
	if !poll(func() bool {
		return ask[int](t, h, "select count(*) from pg_stat_replication where state = 'streaming'") == 1
	}) {
		t.Fatal("nothing streams")
	}
	for range 2 {
		segment := ask[string](t, h, "select pg_walfile_name(pg_current_wal_insert_lsn())")
		h.sql(t, "insert into copied select 1 from generate_series(1, 20000)", "delete from copied where n = 1", "select pg_switch_wal()")
		if !poll(func() bool { _, err := os.Stat(filepath.Join(dir, segment)); return err == nil }) {
			t.Fatalf("segment %s did not arrive", segment)
		}
		got, err := os.ReadFile(filepath.Join(dir, segment))
		want, err2 := os.ReadFile(filepath.Join(h.Dir(), "pg_wal", segment))
		if err != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Errorf("segment %s differs from the server's: %v, %v", segment, err, err2)
		}
	}
	stop()
	h.walsendersEnd(t)
	runTool(t, d.tool(t, "disable", "pg_receivewal", "--slot=archive", "--drop-slot"))
}

// testReceiveLogical has the changes of a tenant's database decoded.
func testReceiveLogical(t *testing.T, h *house) {
	d := h.open(t)
	file := filepath.Join(wiretest.ServerDir(t), "changes")
	runTool(t, d.tool(t, "disable", "pg_recvlogical", "--dbname=acme", "--slot=changes", "--create-slot", "--plugin=test_decoding"))
	stop := startTool(t, d.tool(t, "disable", "pg_recvlogical", "--dbname=acme", "--slot=changes", "--start", "--no-loop", "--file="+file, "--status-interval=1", "--fsync-interval=1"))
	h.sql(t, "insert into copied values (4711)")
	var text []byte
	if !poll(func() bool { text, _ = os.ReadFile(file); return bytes.Contains(text, []byte("4711")) }) {
		t.Errorf("the change did not arrive; the file has %q", text)
	}
	stop()
	h.walsendersEnd(t)
	runTool(t, d.tool(t, "disable", "pg_recvlogical", "--dbname=acme", "--slot=changes", "--drop-slot"))
	d.reload(t, func(s *setup) { s.tenants[0].Name = "alias" }) // its database is called acme
	r := newRaw(dial(t, d.replicaConfig(copier, "database", "alias", wire.Parameter{Name: "application_name", Value: "mine"})))
	defer r.Close()
	r.expect(t, "row acme|mine; SELECT 1; ready I", query("select current_database(), current_setting('application_name')"))
}

package fleet_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"howdah/admin/fleet"
	"howdah/backup/export"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// disk is a small file system of a server's.
type disk struct {
	t    *testing.T
	path string
	used uint64 // bytes, at first
}

// onSmallDisk puts a folder of a server's data directory on a disk of its own, and starts
// the server again.
func onSmallDisk(t *testing.T, s *postgres.Server, folder string) *disk {
	t.Helper()
	if err := s.Stop(t.Context(), postgres.Fast); err != nil {
		t.Fatal(err)
	}
	d := &disk{t: t, path: filepath.Join(s.Dir(), folder)}
	was := d.path + ".was"
	if err := os.Rename(d.path, was); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", 0, "size=1g"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		s.Kill()
		if err := syscall.Unmount(d.path, 0); err != nil {
			t.Error(err)
		}
	})
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", was+"/.", d.path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(d.path, &fs); err != nil {
		t.Fatal(err)
	}
	d.used = (fs.Blocks - fs.Bfree) * uint64(fs.Bsize)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// leave has the disk have so many bytes free beside what was on it at first.
func (d *disk) leave(free uint64) {
	d.t.Helper()
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", d.used+free)); err != nil {
		d.t.Fatal(err)
	}
}

// large is what does not fit on a full disk, though an empty database does.
const large = "create table public.large as select i, md5(i::text) from generate_series(1, 300000) i"

// intoOther are the operations that fill a database on another cluster.
func (e *exporter) intoOther(p *pair, m *export.Manifest) map[string]func() *catalog.Operation {
	return map[string]func() *catalog.Operation{
		"clone":             func() *catalog.Operation { return p.clone(fleet.NewClone{Name: "cloned", Cluster: "other"}).Operation },
		"import":            func() *catalog.Operation { return e.importsTo("other", "imported", m.ID).Operation },
		"move by dump":      func() *catalog.Operation { return p.start("other", fleet.Dump) },
		"move by replicate": func() *catalog.Operation { return p.start("other", fleet.Replicate) },
	}
}

// TestTargetDiskFullSoak fills the disk of the target's server in the midst of a clone, an
// import and a move, or before: each ends with an error that says so and leaves nothing, the
// source goes on, and when there is space the same is done.
func TestTargetDiskFullSoak(t *testing.T) {
	if os.Getenv("HOWDAH_SOAK") == "" || os.Getuid() != 0 {
		t.Skip("it takes a minute, and only root can mount a small file system: HOWDAH_SOAK=1m runs it")
	}
	p := newPair(t, wiretest.WithSetting("max_wal_size", "1GB"))
	e := p.withExports()
	p.run()
	made := p.create("acme")
	as(t, p.server, "acme", made.Password, contents+large)
	m, want := e.export(), value(t, p.server, "acme", state)
	disk := onSmallDisk(t, p.other, "base")
	all := e.intoOther(p, m)
	for _, free := range []uint64{20 << 20, 2 << 20} { // that an empty database takes, and less
		disk.leave(free)
		for what, begin := range all {
			o := p.settled(begin())
			t.Logf("%s: %s", what, o.Error)
			if o.State != catalog.Failed || !strings.Contains(o.Error, "space") || !strings.Contains(o.Error, "cluster") && !strings.Contains(o.Error, "target") {
				t.Errorf("%s: %s: %s", what, o.State, o.Error)
			}
			p.unmoved(want, made.Password, what)
		}
	}
	e.tidy()
	disk.leave(1 << 30)
	for what, begin := range all {
		p.await(begin(), catalog.Done)
		if strings.HasPrefix(what, "move") {
			if got := sumsOf(t, p.other); !strings.HasPrefix(want, got) { // behind it are publications and slots
				t.Errorf("%s: what is different:\n%s", what, difference(want, got))
			}
			p.bringBack()
		}
	}
	if got := left(t, p.server) + left(t, p.other); got != "acme | acme |cloned imported | cloned imported |" {
		t.Errorf("there is %s", got)
	}
}

// settled waits until an operation has ended, or needs attention.
func (h *house) settled(o *catalog.Operation) *catalog.Operation {
	h.t.Helper()
	h.wait("the operation settles", func() bool {
		now, err := h.catalog.Operation(h.t.Context(), o.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		o = now
		return o.State.Ended() || o.State == catalog.Attention
	})
	return o
}

// TestTargetOutOfWALSoak has no space for the WAL of the target's server in the midst of a
// clone, an import and a move: the server crashes, and may not come back by itself.
// Meanwhile the source goes on, and when there is space so does the operation.
func TestTargetOutOfWALSoak(t *testing.T) {
	if os.Getenv("HOWDAH_SOAK") == "" || os.Getuid() != 0 {
		t.Skip("it takes minutes, and only root can mount a small file system: HOWDAH_SOAK=1m runs it")
	}
	for _, what := range []string{"clone", "import", "move by dump", "move by replicate"} {
		t.Run(what, func(t *testing.T) { outOfWAL(t, what) })
	}
}

func outOfWAL(t *testing.T, what string) {
	p := newPair(t, wiretest.WithSetting("max_wal_size", "1GB"), wiretest.WithSetting("synchronous_commit", "on"))
	e := p.withExports()
	p.run()
	made := p.create("acme")
	as(t, p.server, "acme", made.Password, contents+large)
	m, want := e.export(), value(t, p.server, "acme", state)
	disk := onSmallDisk(t, p.other, "pg_wal")
	disk.leave(8 << 20)
	o := p.settled(e.intoOther(p, m)[what]())
	t.Logf("%s after %d attempts: %s", o.State, o.Attempts, o.Error)
	if o.State == catalog.Done {
		t.Fatal("there was space")
	}
	p.letGo()
	as(t, p.server, "acme", made.Password, "begin; update public.keyed set name = name; rollback")
	disk.leave(900 << 20)
	if !p.other.Running() {
		if err := p.other.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if o = p.ended(o); o.State == catalog.Failed {
		p.unmoved(want, made.Password, what)
		o = e.intoOther(p, m)[what]()
	}
	p.await(o, catalog.Done)
	there := map[string]string{"clone": "acme | acme |cloned | cloned |", "import": "acme | acme |imported | imported |"}[what]
	if there == "" {
		there = "howdah_drop_" + o.ID + " | acme |acme | acme |"
	}
	if got := left(t, p.server) + left(t, p.other); got != there {
		t.Errorf("there is %s", got)
	}
	e.tidy()
}

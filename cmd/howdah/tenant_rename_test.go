package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/wire/wiretest"
)

// secondNode runs another Howdah on the place's catalog until stop, and returns its
// pooler's port.
func (p *upPlace) secondNode(t *testing.T) (port int, stop func()) {
	t.Helper()
	pooler := wiretest.FreePort(t)
	text := strings.NewReplacer(
		fmt.Sprintf(`addresses = ["127.0.0.1:%d"]`, p.pooler), fmt.Sprintf(`addresses = ["127.0.0.1:%d"]`, pooler),
		fmt.Sprintf(`http = "127.0.0.1:%d"`, p.http), fmt.Sprintf(`http = "127.0.0.1:%d"`, wiretest.FreePort(t)),
		`cache = "catalog.json"`, `cache = "second.json"`,
	).Replace(p.read("howdah.toml"))
	path := filepath.Join(p.dir, "second.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), p.program, "serve", "-c", path)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait() // it was asked to end
		if t.Failed() {
			t.Logf("the second node said:\n%s", said.String())
		}
	})
	t.Cleanup(stop)
	return pooler, stop
}

// riders are clients that stay and work, in pairs of which one is on the other node.
type riders struct {
	all     sync.WaitGroup
	mu      sync.Mutex // guards what follows
	errs    []error
	works   int
	longest time.Duration
}

// ride is a client that works until ctx ends.
func (r *riders) ride(ctx context.Context, c *pgx.Conn, number int) {
	defer c.Close(context.WithoutCancel(ctx))
	for {
		begun := time.Now()
		err := work(ctx, c, rider(number^1))
		took := time.Since(begun)
		if ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		r.works++
		r.longest = max(r.longest, took)
		if err != nil {
			r.errs = append(r.errs, err)
		}
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// rider is the channel on which a rider listens.
func rider(number int) string { return "rider" + strconv.Itoa(number) }

// work is one round: a transaction that notifies the other of the pair, and then waiting
// for the other's. Were a notification lost, both would wait for ever.
func work(ctx context.Context, c *pgx.Conn, other string) error {
	err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "insert into ridden select $1", other); err != nil { // prepared, and kept
			return err
		}
		_, err := tx.Exec(ctx, "select pg_notify($1, 'round')", other)
		return err
	})
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = c.WaitForNotification(waiting)
	return err
}

func (r *riders) state() (works int, longest time.Duration, errs []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.works, r.longest, r.errs
}

// renameUnderLoad renames a tenant whose clients are on two nodes and do not stop.
func (p *upPlace) renameUnderLoad(t *testing.T) {
	t.Helper()
	mover := p.makeTenant("mover")
	if err := p.try(mover, "create table ridden (who text)"); err != nil {
		t.Fatal(err)
	}
	there := mover.Copy()
	port, stop := p.secondNode(t)
	defer stop()
	there.Port = uint16(port)
	waitUntil(t, func() bool { return p.try(there, "select 1") == nil })
	ctx, end := context.WithCancel(t.Context())
	defer end()
	r := &riders{}
	var all []*pgx.Conn
	for i := range 16 {
		at := mover
		if i%2 == 1 {
			at = there
		}
		c, err := pgx.ConnectConfig(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), "listen "+rider(i)); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for i, c := range all {
		r.all.Go(func() { r.ride(ctx, c, i) })
	}
	goesOn := func() {
		t.Helper()
		before, _, _ := r.state()
		waitUntil(t, func() bool { now, _, errs := r.state(); return now > before+200 || len(errs) > 0 })
	}
	if got := p.done("tenant", "rename", "mover", "moved", "--dry-run"); !strings.Contains(got, `rename database "mover" to "moved" and role "mover" to "moved"`) {
		t.Errorf("the plan is %s", got)
	}
	for _, names := range [][2]string{{"mover", "moved"}, {"moved", "mover"}, {"mover", "moved"}} {
		goesOn()
		p.done("tenant", "rename", names[0], names[1])
	}
	goesOn()
	p.swapUnderLoad(t, "moved", goesOn)
	end()
	r.all.Wait()
	works, longest, errs := r.state()
	if len(errs) > 0 {
		t.Errorf("%d clients of 16 had an error, the first: %v", len(errs), errs[0])
	}
	t.Logf("%d rounds, the longest took %v", works, longest)
	there.Database, there.User = "moved", "moved"
	if err := p.try(there, "select from ridden"); err != nil {
		t.Errorf("by the new name: %v", err)
	}
	there.Database = "mover"
	if err := p.try(there, "select 1"); err == nil || !strings.Contains(err.Error(), "3D000") {
		t.Errorf("by the old name: %v", err)
	}
	p.refused(4, "not found", "tenant", "rename", "mover", "x")
	p.refused(5, "exists", "tenant", "rename", "moved", "initech")
	p.refused(2, "its new one", "tenant", "rename", "moved")
}

package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/backup/wal"
	"howdah/tenants/catalog"
)

// What the child of TestCrashAtEveryStep is told.
const (
	childCatalog   = "HOWDAH_TEST_CATALOG"   // where the catalog is: this is a child
	childCluster   = "HOWDAH_TEST_CLUSTER"   // and the clusters
	childOperation = "HOWDAH_TEST_OPERATION" // which operation to end
	childCrash     = "HOWDAH_TEST_CRASH"     // at which moment to die, from 0; -1 for never
	childStore     = "HOWDAH_TEST_STORE"     // where exports are kept; "" for nowhere
	childFilestore = "HOWDAH_TEST_FILESTORE" // where Odoo's files are; "" for not here
)

func TestMain(m *testing.M) {
	if os.Getenv(childCatalog) != "" && len(os.Args) == 1 {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 5 && os.Args[1] == "get" { // a server that recovers wants WAL
		exit, err := wal.Get(os.Args[2], os.Args[3], os.Args[4])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(exit)
	}
	code := m.Run()
	if err := servers.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// child is a node that runs operations until one has ended, or dies on the way.
func child() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := catalog.Open(ctx, os.Getenv(childCatalog))
	if err != nil {
		return err
	}
	crash, err := strconv.Atoi(os.Getenv(childCrash))
	if err != nil {
		return err
	}
	moment := 0
	f := newFleet(ctx, "node", theMasterKey, c, strings.Fields(os.Getenv(childCluster)), newPooler(), os.Stderr, func(kind, step string, begun bool) {
		if moment == crash {
			fmt.Fprintf(os.Stderr, "dies in %s at %q, begun: %v\n", kind, step, begun)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		moment++
	}, withStore(os.Getenv(childStore)), withRepository(os.Getenv(childStore)), withFilestore(os.Getenv(childFilestore)))
	failed := make(chan error, 1)
	go func() { failed <- f.Run(ctx) }()
	for {
		o, err := c.Operation(ctx, os.Getenv(childOperation))
		switch {
		case err != nil:
			return err
		case o.State == catalog.Done:
			return nil
		case o.State.Ended(), o.State == catalog.Attention:
			return fmt.Errorf("%s is %s: %s", o.Kind, o.State, o.Error)
		}
		select {
		case err := <-failed:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// node runs a child, and reports whether it was killed.
func (h *house) node(o *catalog.Operation, crash int) (killed bool) {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childCatalog+"="+h.server.AdminURL("catalog"), childCluster+"="+strings.Join(h.admins, " "),
		childOperation+"="+o.ID, childStore+"="+h.store, childCrash+"="+strconv.Itoa(crash))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		h.t.Fatalf("%s, crash %d: %v\n%s", o.Kind, crash, err, bytes.TrimSpace(out))
	}
	return false
}

// TestCrashAtEveryStep has a node die by KILL at every moment of every operation, before
// each step and behind it, and another go on: the outcome is the same, and nothing is
// left behind.
func TestCrashAtEveryStep(t *testing.T) {
	h := newHouse(t)
	through := map[string]bool{} // what has been killed at each of its moments is not done again
	for crash, more := 0, true; more; crash++ {
		more = false
		killed := false
		part := func(what string, do func()) {
			if killed = false; !through[what] {
				do()
				through[what] = !killed
			}
		}
		name := "t" + strconv.Itoa(crash)
		run := func(o *catalog.Operation, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("crash %d: %v", crash, err)
			}
			if h.node(o, crash) {
				more, killed = true, true
				h.node(o, -1)
			}
		}
		made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: name}, false)
		if err != nil {
			t.Fatal(err)
		}
		run(made.Operation, nil)
		lives := func(what string) {
			t.Helper()
			if err := h.can(name, made.Password); err != nil {
				t.Errorf("crash %d, %s: %v", crash, what, err)
			}
			if got := h.holds(); got != name+"|"+name {
				t.Errorf("crash %d, %s: there is %s", crash, what, got)
			}
		}
		lives("created")
		part("suspend and resume", func() {
			run(h.fleet.SuspendTenant(t.Context(), anna, name))
			if h.can(name, made.Password) == nil {
				t.Errorf("crash %d, suspended: clients are let in", crash)
			}
			run(h.fleet.ResumeTenant(t.Context(), anna, name))
			lives("resumed")
		})
		part("rotate", func() { h.crashRotating(name, &made.Password, run, lives) })
		part("drop and undrop", func() {
			run(h.fleet.DropTenant(t.Context(), anna, name, time.Hour))
			run(h.fleet.UndropTenant(t.Context(), anna, name))
			lives("undropped")
		})
		part("follow", func() {
			h.crashFollowing(name, strconv.Itoa(crash), run)
			lives("beside databases that its user has made and dropped")
		})
		part("rename", func() {
			renamed, err := h.fleet.RenameTenant(t.Context(), anna, name, name+"-new", "", false)
			if err != nil {
				t.Fatal(err)
			}
			name += "-new"
			run(renamed.Operation, nil)
			lives("renamed")
		})
		run(h.fleet.DropTenant(t.Context(), anna, name, time.Hour))
		run(h.fleet.PurgeTenant(t.Context(), anna, name))
		if got := h.holds(); got != "|" {
			t.Errorf("crash %d, purged: there is %s", crash, got)
		}
		contents, err := h.catalog.Load(t.Context())
		if err != nil || len(contents.Entries) > 0 {
			t.Fatalf("crash %d: the catalog has %+v, %v", crash, contents, err)
		}
		var held int
		if err := h.server.QueryRow(t.Context(), "catalog", "select count(*) from howdah.hold where not ending", nil, &held); err != nil || held > 0 {
			t.Errorf("crash %d: %d holds are left, %v", crash, held, err)
		}
	}
}

// crashRotating gives a tenant's user one password after the other.
func (h *house) crashRotating(name string, password *string, run func(*catalog.Operation, error), lives func(string)) {
	h.t.Helper()
	for _, n := range []struct {
		what   string
		key    *catalog.MasterKey
		change fleet.NewPassword
	}{
		{"rotated, not managed", nil, fleet.NewPassword{}},
		{"rotated, becomes managed", theMasterKey(), fleet.NewPassword{Overlap: time.Hour}},
		{"rotated with the server's secret", theMasterKey(), fleet.NewPassword{Overlap: time.Hour, Server: true}},
		{"rotated at once", theMasterKey(), fleet.NewPassword{}},
	} {
		h.key.Store(n.key)
		rotation, err := h.fleet.RotateTenant(h.t.Context(), anna, name, n.change)
		if err != nil {
			h.t.Fatal(err)
		}
		run(rotation.Operation, nil)
		old := *password
		*password = rotation.Password
		lives(n.what)
		if err := h.can(name, old); (err == nil) != (n.change.Overlap > 0) {
			h.t.Errorf("%s of %s: the old password: %v", name, n.what, err)
		}
	}
	h.key.Store(nil)
}

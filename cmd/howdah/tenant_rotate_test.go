package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"howdah/tenants/catalog"
)

// rotate changes a tenant's password, and returns how to log in with the new one.
func (p *upPlace) rotate(with *pgx.ConnConfig, args ...string) *pgx.ConnConfig {
	p.t.Helper()
	var made struct{ Password string }
	if err := json.Unmarshal([]byte(p.done(append([]string{"tenant", "rotate", with.User, "--json"}, args...)...)), &made); err != nil {
		p.t.Fatal(err)
	}
	c := with.Copy()
	c.Password = made.Password
	return c
}

// rotateUnderLoad changes passwords while clients connect again and again, with the old
// ones and the new: none is refused until its password has ended.
func (p *upPlace) rotateUnderLoad(t *testing.T) {
	t.Helper()
	p.refused(4, "not found", "tenant", "rotate", "nobody")
	p.refused(5, "howdah.toml", "tenant", "rotate", "acme")
	first := p.makeTenant("turner")
	p.refused(2, "--yes", "tenant", "rotate", "turner", "--overlap", "0")
	p.refused(2, "first line is empty", "tenant", "rotate", "turner", "--password-file", os.DevNull)

	ctx, stop := context.WithCancel(t.Context())
	var loads sync.WaitGroup
	var counts []*atomic.Int64
	load := func(c *pgx.ConnConfig) {
		n := new(atomic.Int64)
		counts = append(counts, n)
		for range 2 {
			loads.Go(func() {
				for ctx.Err() == nil {
					if err := p.try(c, "select 1"); err != nil {
						t.Errorf("a password that is still good: %v", err)
						return
					}
					n.Add(1)
				}
			})
		}
		waitUntil(t, func() bool { return n.Load() > 10 })
	}
	load(first)
	second := p.rotate(first)
	load(second)
	third := p.rotate(first, "--server")
	load(third)
	for _, n := range counts { // the server has another secret now
		had := n.Load()
		waitUntil(t, func() bool { return n.Load() > had+10 })
	}
	stop()
	loads.Wait()
	for i, n := range counts {
		t.Logf("password %d logged in %d times", i+1, n.Load())
	}

	p.write("password", "correct horse\nbattery\n")
	fourth := p.rotate(first, "--overlap", "0", "--yes", "--password-file", filepath.Join(p.dir, "password"))
	if fourth.Password != "correct horse" {
		t.Errorf("the password is %q", fourth.Password)
	}
	if err := p.try(fourth, "select 1"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	for i, c := range []*pgx.ConnConfig{first, second, third} {
		if err := p.try(c, "select 1"); codeOf(err) != "28P01" {
			t.Errorf("password %d, which has ended: %v", i+1, err)
		}
	}
	p.anotherMasterKey(t, fourth)
}

func codeOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// anotherMasterKey changes the master key in the two steps that the manual has, and looks
// what a node without it says.
func (p *upPlace) anotherMasterKey(t *testing.T, tenant *pgx.ConnConfig) {
	t.Helper()
	old := p.read("master.key")
	anew, err := catalog.NewMasterKeyText()
	if err != nil {
		t.Fatal(err)
	}
	ready := func() int {
		answer, err := http.Get("http://127.0.0.1:" + strconv.Itoa(p.http) + "/readyz")
		if err != nil {
			return 0
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	p.write("master.key", anew)
	p.reload(t)
	waitUntil(t, func() bool { return codeOf(p.try(tenant, "select 1")) == "28000" })
	if got := ready(); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz of a node without the master key: %d", got)
	}
	p.write("master.key", anew+old)
	p.reload(t)
	waitUntil(t, func() bool { return ready() == http.StatusOK })
	if got := p.done("tenant", "reseal", "--json"); got == "{\n  \"resealed\": 0\n}\n" {
		t.Error("nothing was sealed anew")
	}
	p.write("master.key", anew)
	p.reload(t)
	waitUntil(t, func() bool { return ready() == http.StatusOK })
	if err := p.try(tenant, "select 1"); err != nil {
		t.Errorf("with another master key: %v", err)
	}
}

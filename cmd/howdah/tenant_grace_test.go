package main_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// overQuota has a tenant be over its quota: it reads, and writes while it is given grace.
func (p *upPlace) overQuota(t *testing.T, tenant *pgx.ConnConfig) {
	t.Helper()
	written := func(want bool) {
		t.Helper()
		var err error
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			err = p.try(tenant, "create table if not exists more (n int); insert into more values (1)")
			var e *pgconn.PgError
			if err == nil && want || !want && errors.As(err, &e) && e.Code == "25006" && strings.Contains(e.Hint, "quota") {
				return
			}
		}
		t.Fatalf("a write of a tenant: %v, want success %v", err, want)
	}
	p.done("tenant", "set", "initech", "quota=1MB")
	written(false)
	if err := p.try(tenant, "select * from kept"); err != nil {
		t.Errorf("a tenant over its quota reads: %v", err)
	}
	if got := p.done("tenant", "show", "initech"); !strings.Contains(got, "over the quota, cannot write") {
		t.Errorf("show: %s", got)
	}
	p.done("tenant", "grace", "initech", "--for", "10m")
	written(true)
	if got := p.done("tenant", "show", "initech", "--json"); !strings.Contains(got, `"state": "grace"`) {
		t.Errorf("show: %s", got)
	}
	p.done("tenant", "grace", "initech", "--for", "0s")
	written(false)
	p.done("tenant", "set", "initech", "--unset", "quota")
	written(true)
	p.refused(5, "howdah.toml", "tenant", "grace", "acme")
}

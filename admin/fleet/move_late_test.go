package fleet_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
)

// Whom the source has let in right before it is closed, and who is not among its sessions
// yet, is waited for: what it is told to be committed is at the target.
func TestMoveWaitsForWhoComesIn(t *testing.T) {
	p := newPair(t)
	var password string
	answered := make(chan error, 1)
	p.stepping(func(_, step string, begun bool) {
		if step != "close the source" || !begun {
			return
		}
		go func() { answered <- p.comeLate(password) }()
		for end := time.Now().Add(patience); value(t, p.server, "postgres", "select count(*)::text from pg_locks where locktype = 'object' and classid = 'pg_database'::regclass") == "0"; {
			if time.Now().After(end) {
				t.Error("nobody comes in")
				return
			}
		}
	})
	p.run()
	made := p.create("acme")
	password = made.Password
	as(t, p.server, "acme", password, "create table late (i int primary key)")
	p.await(p.start("other", fleet.Replicate), catalog.Done)
	err := <-answered
	rows := value(t, p.other, "acme", "select count(*)::text from public.late")
	if want := map[bool]string{true: "1", false: "0"}[err == nil]; rows != want {
		t.Errorf("the target has %s rows, and who came late was told %v", rows, err)
	}
	p.letGo()
}

// comeLate logs in to the source, which takes a while, and writes a row.
func (p *pair) comeLate(password string) error {
	config, err := pgx.ParseConfig(p.server.URL("acme", password, "acme"))
	if err != nil {
		return err
	}
	config.RuntimeParams["post_auth_delay"] = "2"
	conn, err := pgx.ConnectConfig(p.t.Context(), config)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(p.t.Context()))
	_, err = conn.Exec(p.t.Context(), "insert into late values (1)")
	return err
}

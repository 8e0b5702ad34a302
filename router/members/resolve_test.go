package members_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/router/members"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// names is a name server.
type names struct {
	mu   sync.Mutex
	of   map[string][]string
	down bool
}

func (n *names) set(host string, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of[host] = addresses
}

func (n *names) Lookup(_ context.Context, host string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return nil, errors.New("the name server is down")
	}
	return n.of[host], nil
}

// at has a server listen on an address of this machine and let everybody in there.
func at(address string) wiretest.PostgresOption {
	return func(c *postgres.Config) {
		c.Host = address
		c.HBA = append(c.HBA, "host all all 127.0.0.0/8 trust")
	}
}

// TestRealNames has the names of a primary and a standby change places under live
// connections, while the old primary, replaced, still answers.
func TestRealNames(t *testing.T) {
	primary := wiretest.StartPostgres(t, at("127.0.0.1"))
	standby := wiretest.StartStandby(t, primary, at("127.0.0.2"))
	n := &names{of: map[string][]string{"rw": {"127.0.0.1"}, "ro": {"127.0.0.2", "127.0.0.3"}}}
	changes := make(chan *members.Member, 100)
	w := members.New(members.Config{
		Members: []string{"ro:5432", "rw:5432"},
		Resolve: n.Lookup,
		Connect: func(ctx context.Context, address string) (*pgconn.PgConn, error) {
			addresses, err := n.Lookup(ctx, address[:2])
			if err != nil {
				return nil, err
			}
			s := primary
			if addresses[0] == "127.0.0.2" {
				s = standby
			}
			return pgconn.Connect(ctx, s.URL(postgres.Superuser, "", postgres.Superuser))
		},
		Changed: func(now *members.Member) { changes <- now },
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	t.Cleanup(w.Close)
	next := func(what string, holds func(*members.Member) bool) (now *members.Member) {
		t.Helper()
		for end := time.After(20 * time.Second); ; {
			select {
			case now = <-changes:
				if holds(now) {
					return now
				}
			case <-end:
				t.Fatalf("not within 20 s: %s", what)
			}
		}
	}
	first := next("a primary", func(m *members.Member) bool { return m != nil })
	c := &cluster{watch: w}
	before := c.fresh(members.Clock(), 10*time.Second)
	if first.Address != "rw:5432" || before == nil {
		t.Fatalf("the primary is %s, the standby %v", first.Address, before)
	}

	n.mu.Lock()
	n.down = true
	n.mu.Unlock()
	time.Sleep(4 * time.Second) // names are looked up every three
	if w.Primary() != first || first.Gone() || before.Gone() {
		t.Error("a name server that is down moves somebody")
	}
	n.mu.Lock()
	n.down = false
	n.mu.Unlock()

	exec(t, dial(t, standby), "select pg_promote()")
	n.set("rw", "127.0.0.2")
	n.set("ro", "127.0.0.1")
	now := next("another server under the name", func(m *members.Member) bool { return m != nil && m.Moved() && m.Address == "rw:5432" })
	if now == first || !first.Gone() || !before.Gone() || now.Gone() {
		t.Error("what was found before under the names is not gone")
	}
	if w.Primary() != now {
		t.Errorf("the primary is %v", w.Primary())
	}
	for _, row := range w.Rows() {
		if row.Address == "rw:5432" && row.Timeline != 2 {
			t.Errorf("rw is %+v", row)
		}
	}
}

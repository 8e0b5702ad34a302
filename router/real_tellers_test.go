package router_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/wire"
	"howdah/wire/postgres"
)

// Tellers are clients who write all the time, some of them in transactions of many
// messages, some in single statements, and note how each went: so that it can be
// told of every error which transaction it ended, and of every row that was
// confirmed whether it is there.

// attempt is one transaction of a teller's.
type attempt struct {
	who, n       int
	port         int // the client's
	began, ended time.Time
	committing   bool // its outcome may be unknown: COMMIT was sent, or all of it
	err          error
}

func (a attempt) String() string {
	return fmt.Sprintf("teller %d's transaction %d, begun %s, ended %s: %v", a.who, a.n, a.began.Format("05.000000"), a.ended.Format("05.000000"), a.err)
}

type tellers struct {
	d      *door
	tenant string
	stop   chan struct{}
	wg     sync.WaitGroup

	mu       sync.Mutex
	attempts []attempt
}

// tellers starts n clients of a tenant, who have table booked.
func (d *door) tellers(t *testing.T, tenant string, n int) *tellers {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.house.Exec(ctx, tenant, "create table booked (who int, n int, primary key (who, n))", "grant all on booked to "+tenant); err != nil {
		t.Fatal(err)
	}
	all := &tellers{d: d, tenant: tenant, stop: make(chan struct{})}
	for who := range n {
		config := d.config(t, tenant)
		all.wg.Go(func() {
			for n := 0; !all.stopped(); {
				conn, err := pgx.ConnectConfig(context.Background(), config)
				if err != nil {
					t.Errorf("teller %d cannot log in: %v", who, err)
					return
				}
				err = all.serve(conn, who, &n)
				conn.Close(context.Background())
				if err != nil {
					t.Errorf("teller %d: %v", who, err)
					return
				}
			}
		})
	}
	return all
}

func (all *tellers) stopped() bool {
	select {
	case <-all.stop:
		return true
	default:
		return false
	}
}

// serve makes transactions on one connection until that breaks, or the end. The
// error is one that has no excuse.
func (all *tellers) serve(conn *pgx.Conn, who int, n *int) error {
	_, port, err := net.SplitHostPort(conn.PgConn().Conn().LocalAddr().String())
	if err != nil {
		return err
	}
	for !all.stopped() {
		*n++
		a := attempt{who: who, n: *n, began: time.Now()}
		if a.port, err = strconv.Atoi(port); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		a.committing, a.err = book(ctx, conn, who, *n)
		cancel()
		a.ended = time.Now()
		all.mu.Lock()
		all.attempts = append(all.attempts, a)
		all.mu.Unlock()
		if a.err != nil && conn.IsClosed() {
			return nil
		}
		if a.err != nil {
			return fmt.Errorf("an error that leaves the connection open: %w", a.err)
		}
		time.Sleep(time.Duration(rand.IntN(1+10*(who%3))) * time.Millisecond)
	}
	return nil
}

// book writes one row, in one of four ways.
func book(ctx context.Context, conn *pgx.Conn, who, n int) (committing bool, err error) {
	const insert = "insert into booked values ($1, $2)"
	switch who % 4 {
	case 0:
		_, err = conn.Exec(ctx, insert, who, n)
		return true, err
	case 1:
		tx, err := conn.Begin(ctx)
		if err != nil {
			return false, err
		}
		for _, sql := range []string{insert, "update booked set n = n where who = $1 and n = $2"} {
			if _, err := tx.Exec(ctx, sql, who, n); err != nil {
				return false, err
			}
		}
		return true, tx.Commit(ctx)
	case 2:
		var batch pgx.Batch
		batch.Queue(insert, who, n)
		batch.Queue("select count(*) from booked where who = $1", who)
		return true, conn.SendBatch(ctx, &batch).Close()
	}
	if _, err := conn.Exec(ctx, insert, who, n); err != nil {
		return true, err
	}
	var read int
	err = readOnly(ctx, conn, fmt.Sprintf("select max(n) from booked where who = %d", who), &read)
	if err == nil && read != n {
		err = fmt.Errorf("wrote %d and reads %d", n, read)
	}
	return true, err
}

// first returns when the first transaction succeeded that ended later.
func (all *tellers) first(later time.Time) (ended time.Time) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, a := range all.attempts {
		if a.err == nil && a.ended.After(later) && (ended.IsZero() || a.ended.Before(ended)) {
			ended = a.ended
		}
	}
	return ended
}

// goOn waits until every teller has ended a transaction that began later.
func (all *tellers) goOn(t *testing.T, n int, later time.Time) {
	t.Helper()
	gone := map[int]bool{}
	if !poll(func() bool {
		all.mu.Lock()
		defer all.mu.Unlock()
		for _, a := range all.attempts {
			if a.err == nil && a.began.After(later) {
				gone[a.who] = true
			}
		}
		return len(gone) == n || t.Failed()
	}) {
		t.Fatalf("only %d of %d tellers go on", len(gone), n)
	}
}

// errors returns the attempts that failed.
func (all *tellers) errors() (failed []attempt) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, a := range all.attempts {
		if a.err != nil {
			failed = append(failed, a)
		}
	}
	return failed
}

// close ends the load, and looks at a server for every row: what was confirmed is
// there, and nothing is that was given up before its COMMIT.
func (all *tellers) close(t *testing.T, at *postgres.Server) {
	t.Helper()
	close(all.stop)
	all.wg.Wait()
	var rows []string
	err := at.QueryRow(context.Background(), all.tenant, "select coalesce(array_agg(who || ' ' || n), '{}') from booked", nil, &rows)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rows)
	missing, given := 0, 0
	for _, a := range all.attempts {
		_, there := slices.BinarySearch(rows, fmt.Sprintf("%d %d", a.who, a.n))
		if a.err == nil && !there {
			missing++
			t.Logf("missing: %v", a)
		}
		if a.err != nil && !a.committing && there {
			given++
		}
	}
	if missing > 0 || given > 0 {
		t.Errorf("%d transactions were confirmed and are not there; %d were given up and are there", missing, given)
	}
	t.Logf("%d transactions, %d of them at standbys, %d failed", len(all.attempts), all.d.away(), len(all.errors()))
}

// lostServer fails the test for an error that tells of anything else than that the
// server was lost: in Howdah's words, or in a backend's that saw its postmaster go.
func (a attempt) lostServer(t *testing.T) {
	t.Helper()
	switch state(a.err) {
	case wire.CodeConnectionFailure, wire.CodeTransactionUnknown, wire.CodeAdminShutdown:
	default:
		t.Errorf("not told that the server is lost: %v", a)
	}
}

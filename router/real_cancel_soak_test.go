package router_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire"
)

// aim is a connection that cancel requests are sent for. One may hit what the
// connection runs while it is on its way, and nothing else.
type aim struct {
	key               wire.Key
	started, finished atomic.Int64 // requests with the right key
}

// victim is a client of a cancel soak. It does everything in turns, among
// others rows that must be there at the end exactly if they were acknowledged.
type victim struct {
	door   *door
	number int
	turn   int
	*raw
	aim  *aim
	at   *atomic.Pointer[aim] // for those who cancel
	kept []string

	answered, hits, lives int64
}

// TestRealCancelSoak cancels at random under load: never is a statement hit
// whose own client had no request on its way, nor one by a wrong or an old key.
// HOWDAH_SOAK says how long.
func TestRealCancelSoak(t *testing.T) {
	h := startHouse(t)
	h.sql(t, "create table told (what text)", "grant all on told to acme")
	d := h.open(t, poolSize(3))
	const clients, spared = 24, 8
	end := time.Now().Add(soakTime(t, 10*time.Second))
	var victims []*victim
	aims := make([]atomic.Pointer[aim], clients)
	for i := range clients {
		v := &victim{door: d, number: i, at: &aims[i]}
		if err := v.connect(); err != nil {
			t.Fatal(err)
		}
		victims = append(victims, v)
	}
	var wg sync.WaitGroup
	for _, v := range victims {
		wg.Go(func() {
			defer func() { v.Close() }()
			for time.Now().Before(end) {
				if err := v.act(); err != nil {
					t.Errorf("client %d, turn %d: %v", v.number, v.turn, err)
					return
				}
			}
		})
	}
	var right, wrong atomic.Int64
	for range 4 {
		wg.Go(func() {
			for time.Now().Before(end) {
				err := d.cancelOne(aims[rand.IntN(clients-spared)].Load(), &right)
				if err == nil && rand.IntN(4) == 0 {
					err = d.cancelNobody(aims[rand.IntN(clients)].Load().key, &wrong)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	var answered, hits, lives int64
	for _, v := range victims {
		answered, hits, lives = answered+v.answered, hits+v.hits, lives+v.lives
		if v.number >= clients-spared && v.hits > 0 {
			t.Errorf("client %d was hit, and nobody cancelled it", v.number)
		}
		v.checkKept(t)
	}
	t.Logf("%d requests, %d with wrong keys: %d statements cancelled and %d answered, on %d connections", right.Load(), wrong.Load(), hits, answered, lives)
	if hits < 50 || answered < 500 || wrong.Load() < 50 {
		t.Error("that is too little to show anything")
	}
	d.atRest(t)
}

// cancelOne sends a right key, which may be of a connection that has gone by now.
func (d *door) cancelOne(a *aim, sent *atomic.Int64) error {
	sent.Add(1)
	a.started.Add(1)
	err := d.cancel(a.key)
	a.finished.Add(1)
	return err
}

// cancelNobody sends a key that is almost right.
func (d *door) cancelNobody(k wire.Key, sent *atomic.Int64) error {
	sent.Add(1)
	keys := wrongKeys(k)
	if n := len(k.Secret); n > 4 {
		keys = append(keys, wire.Key{PID: k.PID, Secret: k.Secret[:4]}, wire.Key{PID: k.PID, Secret: k.Secret[:n-1]})
	}
	return d.cancel(keys[rand.IntN(len(keys))])
}

// connect opens the victim's next connection; every other victim has a long key.
func (v *victim) connect() error {
	c, long := v.door.dialConfig("acme"), 4
	if v.number%2 == 1 {
		c.Version, long = wire.Protocol32, 32
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	e, err := wire.Dial(ctx, c)
	if err != nil {
		return err
	}
	if len(e.Key.Secret) != long {
		return fmt.Errorf("a key of %d bytes, want %d", len(e.Key.Secret), long)
	}
	v.raw, v.aim = newRaw(e), &aim{key: e.Key}
	v.at.Store(v.aim)
	v.lives++
	return nil
}

// ask wants the answers that are due, or that a request on its way has
// cancelled the statement.
func (v *victim) ask(want string, messages ...pgproto3.FrontendMessage) (hit bool, err error) {
	over := v.aim.finished.Load()
	lines, err := v.talk(messages...)
	got := strings.Join(lines, "; ")
	switch {
	case err != nil:
		return false, fmt.Errorf("%w, after %q", err, got)
	case strings.Contains(got, "error 57014"):
		if v.aim.started.Load() == over {
			return false, fmt.Errorf("WRONG HIT: %q, and no request was on its way", got)
		}
		v.hits++
		return true, nil
	case got != want:
		return false, fmt.Errorf("got %q, want %q", got, want)
	}
	v.answered++
	return false, nil
}

// insist is ask until nobody cancels it.
func (v *victim) insist(want string, messages ...pgproto3.FrontendMessage) error {
	for {
		if hit, err := v.ask(want, messages...); err != nil || !hit {
			return err
		}
	}
}

// act does one thing of those that clients do.
func (v *victim) act() (err error) {
	v.turn++
	tag := fmt.Sprintf("%d-%d", v.number, v.turn)
	const slow = "select $1::text, pg_sleep(0.001)"
	insert := query("insert into told select '" + tag + "' from pg_sleep(0.001)")
	switch n := rand.IntN(100); {
	case n < 40:
		_, err = v.ask("row "+tag+"|; SELECT 1; ready I", query("select '"+tag+"', pg_sleep(0.001)"))
	case n < 55:
		_, err = v.ask("parsed; bound; row "+tag+"|; SELECT 1; ready I", parse("", slow), bind("", tag), execute, syncMsg)
	case n < 70:
		closing := &pgproto3.Close{ObjectType: 'S', Name: "mine"}
		_, err = v.ask("closed; parsed; bound; row "+tag+"|; SELECT 1; ready I", closing, parse("mine", slow), bind("mine", tag), execute, syncMsg)
	case n < 80:
		var hit bool
		if hit, err = v.ask("INSERT 0 1; ready I", insert); err == nil && !hit {
			v.kept = append(v.kept, tag)
		}
	case n < 90:
		err = v.transact(tag, insert)
	case n < 97:
		var hit bool
		if hit, err = v.ask("row f; SELECT 1; ready I", query("select pg_advisory_lock("+fmt.Sprint(1000+v.number)+") is null")); err == nil && !hit {
			// A cancel may come when the lock is free already: who asks again must not be told that there is none.
			err = v.insist("row ; SELECT 1; ready I", query("select pg_advisory_unlock_all()"))
		}
	default:
		err = v.leave(rand.IntN(3))
	}
	return err
}

// transact is a transaction of several messages. An error ends it; a ROLLBACK
// may be cancelled too.
func (v *victim) transact(tag string, insert pgproto3.FrontendMessage) error {
	hit, err := v.ask("BEGIN; ready T", query("begin"))
	if err != nil || hit {
		return err
	}
	if hit, err = v.ask("INSERT 0 1; ready T", insert); err == nil && !hit {
		if hit, err = v.ask("COMMIT; ready I", query("commit")); err == nil && !hit {
			v.kept = append(v.kept, tag)
		}
	}
	if err == nil && v.status != 'I' {
		err = v.insist("ROLLBACK; ready I", query("rollback"))
	}
	return err
}

// leave ends the connection, in the middle of a statement too, and begins
// another: the old one's key is still about.
func (v *victim) leave(way int) error {
	if way > 0 {
		if err := v.send(query("select pg_sleep(0.01)")); err != nil {
			return err
		}
	}
	if way > 1 {
		v.reset()
	} else {
		v.Close()
	}
	return v.connect()
}

// checkKept wants the victim's rows to be those that were acknowledged.
func (v *victim) checkKept(t *testing.T) {
	t.Helper()
	rows := ask[[]string](t, v.door.house, "select coalesce(array_agg(what), '{}') from told where what like $1", fmt.Sprint(v.number, "-%"))
	slices.Sort(rows)
	slices.Sort(v.kept)
	if !slices.Equal(rows, v.kept) {
		t.Errorf("client %d has %d rows and was told of %d", v.number, len(rows), len(v.kept))
	}
}

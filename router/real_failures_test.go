package router_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"howdah/wire"
)

// TestRealFailures has clients guess, in front of one PostgreSQL.
func TestRealFailures(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"AnAddressGuesses", testAnAddressGuesses},
		{"ADatabaseIsGuessedAt", testADatabaseIsGuessedAt},
		{"GuessesAtOnceGainNothing", testGuessesAtOnceGainNothing},
		{"CancelKeysAreGuessed", testCancelKeysAreGuessed},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

func failing(address, tenant, cancels int) func(*setup) {
	return func(s *setup) {
		s.config.LoginFailures, s.config.TenantFailures, s.config.CancelFailures = address, tenant, cancels
	}
}

func (d *door) wrong() wire.DialConfig { return d.withPassword("acme", "acme", "wrong") }

func testAnAddressGuesses(t *testing.T, h *house) {
	d := h.open(t, failing(3, 0, 0), behindProxy("127.0.0.1/32"))
	const one, other = "203.0.113.7:5", "203.0.113.8:5"
	for range 3 {
		wantRefusal(t, from(d.wrong(), one, "192.0.2.1:6"), "28P01", `password authentication failed for user "acme"`)
	}
	const words = `too many failed logins from address "203.0.113.7"`
	wantRefusal(t, from(d.wrong(), one, "192.0.2.1:6"), "53300", words)
	wantRefusal(t, from(d.dialConfig("acme"), one, "192.0.2.1:6"), "53300", words)
	wantRefusal(t, from(d.dialConfig("globex"), one, "192.0.2.1:6"), "53300", words)
	wantUser(t, from(d.dialConfig("acme"), other, "192.0.2.1:6"), "acme")
	local := d.wrong()
	local.Address = d.serveUnix(t)
	for range 5 {
		wantRefusal(t, local, "28P01", `password authentication failed for user "acme"`)
	}
	d.reload(t, failing(0, 0, 0))
	wantUser(t, from(d.dialConfig("acme"), one, "192.0.2.1:6"), "acme")
}

func testADatabaseIsGuessedAt(t *testing.T, h *house) {
	d := h.open(t, failing(0, 3, 0), behindProxy("127.0.0.1/32"))
	wantUser(t, from(d.dialConfig("acme"), "203.0.113.1:5", "192.0.2.1:6"), "acme")
	for _, source := range []string{"203.0.113.7:5", "203.0.113.8:5", "203.0.113.9:5"} {
		wantRefusal(t, from(d.wrong(), source, "192.0.2.1:6"), "28P01", `password authentication failed for user "acme"`)
	}
	wantRefusal(t, from(d.dialConfig("acme"), "203.0.113.2:5", "192.0.2.1:6"), "53300", `too many failed logins to database "acme"`)
	wantUser(t, from(d.dialConfig("acme"), "203.0.113.1:5", "192.0.2.1:6"), "acme") // is no stranger
	wantUser(t, from(d.dialConfig("globex"), "203.0.113.7:5", "192.0.2.1:6"), "globex")
	// A database that there is not is refused in the same words.
	for range 3 {
		wantRefusal(t, from(d.withPassword("acme", "nowhere", "wrong"), "203.0.113.7:5", "192.0.2.1:6"), "28P01", `password authentication failed for user "acme"`)
	}
	wantRefusal(t, from(d.withPassword("acme", "nowhere", "wrong"), "203.0.113.7:5", "192.0.2.1:6"), "53300", `too many failed logins to database "nowhere"`)
}

// testGuessesAtOnceGainNothing sends far more than the limit before the first
// can have failed: no more are judged than one after the other would be.
func testGuessesAtOnceGainNothing(t *testing.T, h *house) {
	d := h.open(t, failing(10, 0, 0))
	var judged, refused atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			_, err := whoAmI(d.wrong())
			var e *wire.Error
			switch {
			case errors.As(err, &e) && e.Code == "28P01":
				judged.Add(1)
			case errors.As(err, &e) && e.Code == "53300":
				refused.Add(1)
			default:
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	// The count empties by ten a minute meanwhile, and two may pass it at once.
	if n := judged.Load(); n < 10 || n > 20 || refused.Load() != 100-n {
		t.Errorf("%d guesses are judged and %d refused, with a limit of 10", n, refused.Load())
	}
}

// testCancelKeysAreGuessed has an address with too many wrong keys not be
// listened to even when it shows a right one.
func testCancelKeysAreGuessed(t *testing.T, h *house) {
	d := h.open(t, failing(0, 0, 3))
	r := d.raw(t)
	sleeping := func() {
		t.Helper()
		if err := r.send(query("select pg_sleep(60)")); err != nil {
			t.Fatal(err)
		}
		if !poll(func() bool {
			return ask[int](t, h, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == 1
		}) {
			t.Fatal("nobody sleeps")
		}
	}
	cancelled := func() {
		t.Helper()
		if got, err := r.answers(); err != nil || len(got) == 0 || !strings.Contains(got[0], "57014") {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	sleeping()
	guess := wire.Key{PID: r.key.PID, Secret: []byte("none")}
	for range 2 {
		if err := d.cancel(guess); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.cancel(r.key); err != nil { // a right one does not count
		t.Fatal(err)
	}
	cancelled()
	sleeping()
	for range 3 {
		if err := d.cancel(guess); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.cancel(r.key); err != nil {
		t.Fatal(err)
	}
	if n := ask[int](t, h, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"); n != 1 {
		t.Error("an address that guesses has cancelled")
	}
	d.reload(t, failing(0, 0, 0))
	if err := d.cancel(r.key); err != nil {
		t.Fatal(err)
	}
	cancelled()
}

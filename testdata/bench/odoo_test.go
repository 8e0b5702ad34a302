package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestOdooScriptIsSixMessages(t *testing.T) {
	t.Parallel()
	for pause, sleeps := range map[time.Duration]int{0: 0, time.Millisecond: 6} {
		script := odooScript(1000, pause)
		var messages []string
		for line := range strings.Lines(script) {
			if !strings.HasPrefix(line, `\`) {
				messages = append(messages, strings.Fields(line)[0])
			}
		}
		if got := strings.Join(messages, " "); got != "discard begin select select select commit;" {
			t.Errorf("pause %v: messages %q", pause, got)
		}
		if n := strings.Count(script, `\sleep 1000 us`); n != sleeps {
			t.Errorf("pause %v: %d sleeps, want %d:\n%s", pause, n, sleeps, script)
		}
	}
}

func TestTripProxyCountsWaits(t *testing.T) {
	t.Parallel()
	backend, err := startFakeBackend()
	if err != nil {
		t.Fatal(err)
	}
	defer backend.stop()
	proxy, err := startTripProxy(backend.port)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.stop()
	conn, err := pgconn.Connect(t.Context(), fmt.Sprintf("postgres://bench@127.0.0.1:%d/bench?sslmode=disable", proxy.port()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if n := proxy.trips.Load(); n != 0 {
		t.Errorf("the login counts as %d", n)
	}
	for range 3 {
		if _, err := conn.Exec(t.Context(), "select 1").ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	if n := proxy.trips.Load(); n != 3 {
		t.Errorf("three queries, one by one, count as %d", n)
	}
	taken, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Conn.Close()
	for _, depth := range []int{2, 5} {
		l, err := simplePipeline(backend.answers, depth)
		if err != nil {
			t.Fatal(err)
		}
		before := proxy.trips.Load()
		if _, err := taken.Conn.Write(l.request); err != nil {
			t.Fatal(err)
		}
		reader, err := newBatchReader(taken.Conn)
		if err != nil {
			t.Fatal(err)
		}
		if err := reader.read(make([]byte, len(l.reply))); err != nil {
			t.Fatal(err)
		}
		if n := proxy.trips.Load() - before; n != 1 {
			t.Errorf("%d queries sent together count as %d", depth, n)
		}
	}
}

func TestParseTotalsNamesColumns(t *testing.T) {
	t.Parallel()
	columns := []pgconn.FieldDescription{{Name: "database"}, {Name: "total_xact_time"}, {Name: "total_wait_time"}}
	totals, err := parseTotals(columns, [][]byte{[]byte("bench"), []byte("1500"), []byte("20")})
	if err != nil {
		t.Fatal(err)
	}
	if totals["total_xact_time"] != 1500 || totals["total_wait_time"] != 20 {
		t.Errorf("read %v", totals)
	}
	if _, err := parseTotals(columns, [][]byte{[]byte("bench"), []byte("1500"), []byte("a lot")}); err == nil {
		t.Error("words were read as a number")
	}
}

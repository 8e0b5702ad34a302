package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParsePgbenchReadsSummary(t *testing.T) {
	t.Parallel()
	const summary = `pgbench (15.18)
transaction type: <builtin: select only>
number of transactions actually processed: %s
number of failed transactions: %s (0.000%%)
latency average = 2.1 ms
tps = 30248.123456 (without initial connection time)
`
	for _, c := range []struct {
		done, failed string
		transactions int
		ok           bool
	}{
		{"151240", "0", 151240, true},
		{"64/64", "0", 64, true},
		{"100", "3", 0, false},
		{"0", "0", 0, false},
	} {
		o, err := parsePgbench(fmt.Sprintf(summary, c.done, c.failed))
		if (err == nil) != c.ok {
			t.Errorf("%s done, %s failed: error %v", c.done, c.failed, err)
		}
		if c.ok && (o.transactions != c.transactions || o.tps != 30248.123456) {
			t.Errorf("%s done: read %+v", c.done, o)
		}
	}
	if _, err := parsePgbench("pgbench: error: nothing"); err == nil {
		t.Error("a text without a summary was read")
	}
}

func TestParseStraceAddsCalls(t *testing.T) {
	t.Parallel()
	c, err := parseStrace(`% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.600000          10     30000     10000 recvfrom
 40.00    0.400000          20     20000           sendto
------ ----------- ----------- --------- --------- ----------------
100.00    1.000000          20     50000     10000 total
`)
	if err != nil {
		t.Fatal(err)
	}
	if c["recvfrom"] != 30000 || c["sendto"] != 20000 || c.total() != 50000 {
		t.Errorf("counted %v", c)
	}
	if _, err := parseStrace(""); err == nil {
		t.Error("an empty table was read")
	}
}

func TestParseStatSkipsTheProgramsName(t *testing.T) {
	t.Parallel()
	c, err := parseStat("42 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 250 0 0 20 0\n")
	if err != nil {
		t.Fatal(err)
	}
	if c.user != 1500*time.Millisecond || c.system != 2500*time.Millisecond {
		t.Errorf("read %+v", c)
	}
	if _, err := parseStat("42 (x) S 1"); err == nil {
		t.Error("a short line was read")
	}
}

func TestParseMachineTellsBusyFromIdle(t *testing.T) {
	t.Parallel()
	m, err := parseMachine("cpu  100 10 200 1000 50 5 5 30 77 0")
	if err != nil {
		t.Fatal(err)
	}
	if m.busy != 3500*time.Millisecond || m.idle != 10500*time.Millisecond {
		t.Errorf("read %+v", m)
	}
	if _, err := parseMachine("intr 1 2"); err == nil {
		t.Error("another line was read")
	}
	if _, err := readMachine(); err != nil {
		t.Error(err)
	}
}

func TestOwnCPUTimeGrows(t *testing.T) {
	t.Parallel()
	before, err := readCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		after, err := readCPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after.sub(before).total() > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("ten busy seconds are no CPU time")
		}
	}
	if rss, err := readRSS(os.Getpid()); err != nil || rss < 1<<20 {
		t.Errorf("resident memory %d, %v", rss, err)
	}
}

func TestSeriesAndNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		series series
		want   string
	}{
		{nil, ""},
		{series{1234567.8}, "1,234,568"},
		{series{3, 1, 2}, "2.00 (1.00–3.00)"},
		{series{40, 10, 20, 30}, "25.0 (10.0–40.0)"},
		{series{999, 100}, "550 (100–999)"},
	} {
		if got := c.series.String(); got != c.want {
			t.Errorf("%v prints %q, want %q", []float64(c.series), got, c.want)
		}
	}
}

func TestRowJudgesItsTarget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target          target
		bouncer, howdah series
		ratio, verdict  string
	}{
		{ratioAtLeast(1), series{10, 20, 30}, series{20, 22, 27}, "**1.10** (0.90–2.00)", "ratio ≥ 1.00, reached"},
		{ratioAtLeast(1), series{10}, series{9}, "**0.90**", "ratio ≥ 1.00, **missed**"},
		{ratioAtMost(1.1), series{10}, series{12}, "**1.20**", "ratio ≤ 1.10, **missed**"},
		{valueAtMost(4.5), series{7}, series{4.4}, "**0.63**", "≤ 4.5, reached"},
		{ratioAtLeast(1), series{10}, nil, "", "ratio ≥ 1.00"},
		{target{}, series{10}, series{5}, "**0.50**", ""},
	} {
		w := row{target: c.target}
		w.samples[bouncer], w.samples[howdah] = c.bouncer, c.howdah
		if w.ratio() != c.ratio || w.verdict() != c.verdict {
			t.Errorf("%v and %v: ratio %q, verdict %q", c.bouncer, c.howdah, w.ratio(), w.verdict())
		}
	}
}

func TestReportLeavesOutEmptyRows(t *testing.T) {
	t.Parallel()
	r := &report{machine: "2 cores"}
	r.add("never measured", target{})
	r.add("measured", target{}).sample(bouncer, 1)
	r.note("a note")
	var text strings.Builder
	if err := r.print(&text); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); strings.Contains(got, "never") || !strings.Contains(got, "| measured |  | 1.00 |") || !strings.Contains(got, "\n- a note") {
		t.Errorf("printed\n%s", got)
	}
}

func TestPgBouncerVersions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][3]int{
		"PgBouncer 1.26.1\nlibevent 2.1.13-stable": {1, 26, 1},
		"PgBouncer 1.18": {1, 18, 0},
		"none":           {},
	} {
		if got := parseVersion(text); got != want {
			t.Errorf("%q is version %v", text, got)
		}
	}
	if (pgbouncerBinary{version: [3]int{1, 20, 1}}).knowsPrepared() || !(pgbouncerBinary{version: [3]int{2, 0, 0}}).knowsPrepared() {
		t.Error("prepared statements came with 1.21")
	}
}

func TestOptionsRefuseWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-only nothing", "-poolers odyssey", "-pairs 0", "-seconds -1", "more"} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	o, err := parseOptions([]string{"-quick", "-only", "tps,memory", "-poolers", "pgbouncer"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.pairs != 1 || !o.wants("memory") || o.wants("cpu") || o.measures(howdah) || !o.measures(bouncer) {
		t.Errorf("read %+v", o)
	}
}

// Whatever the pieces a batch comes in, none is waited for in vain.
func TestBatchReaderTakesPieces(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sender, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	receiver, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	if err := receiver.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	reader, err := newBatchReader(receiver)
	if err != nil {
		t.Fatal(err)
	}
	const size = 130000
	for _, first := range []int{1, size / 2, size - 1} {
		if _, err := sender.Write(make([]byte, first)); err != nil {
			t.Fatal(err)
		}
		waitUnread(t, reader, func(n int) bool { return n == first })
		read := make(chan error, 1)
		go func() { read <- reader.read(make([]byte, size)) }()
		waitUnread(t, reader, func(n int) bool { return n == 0 }) // it took the first piece alone
		for rest := size - first; rest > 0; rest -= min(rest, 1000) {
			if _, err := sender.Write(make([]byte, min(rest, 1000))); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-read; err != nil {
			t.Fatalf("%d bytes first: %v", first, err)
		}
	}
}

// waitUnread waits until as many bytes lie unread as wanted.
func waitUnread(t *testing.T, r *batchReader, wanted func(int) bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		var n int
		var err error
		if controlErr := r.raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); controlErr != nil {
			t.Fatal(controlErr)
		}
		if err == nil && wanted(n) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes unread, %v", n, err)
		}
	}
}

// The clients of the section "loops" talk to its backend directly: what they
// take for right answers is what it gives, also to long batches.
func TestPipelinesAgreeWithFakeBackend(t *testing.T) {
	t.Parallel()
	backend, err := startFakeBackend()
	if err != nil {
		t.Fatal(err)
	}
	defer backend.stop()
	url := fmt.Sprintf("postgres://bench@127.0.0.1:%d/bench?sslmode=disable", backend.port)
	for _, depth := range []int{1, 500, 3000} {
		simple, err := simplePipeline(backend.answers, depth)
		if err != nil {
			t.Fatal(err)
		}
		prepared, err := preparedPipeline(backend.answers, depth)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []pipeline{simple, prepared} {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			tps, err := l.run(ctx, []string{url, url}, 3, 50*time.Millisecond)
			cancel()
			if err != nil || tps < 1 {
				t.Errorf("%s, %d at a time: %.0f tps, %v", l.name, depth, tps, err)
			}
			l.reply = append([]byte{'E'}, l.reply[1:]...)
			if _, err := l.run(t.Context(), []string{url}, 1, 50*time.Millisecond); err == nil {
				t.Errorf("%s, %d at a time: a wrong answer was taken", l.name, depth)
			}
		}
	}
}

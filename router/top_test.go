package router

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"howdah/wire"
)

func TestShape(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"SELECT 1", "select ?"},
		{"select  *\n from sale_order where id=$1 -- the one\n;", "select * from sale_order where id = ?;"},
		{"/* trace: 17 */ SELECT a.id FROM A a WHERE a.name = 'O''Brien' AND b >= 1.5e3", "select a.id from a a where a.name = ? and b >= ?"},
		{"select x from t where id in (1, 2,3,  4)", "select x from t where id in (?)"},
		{"select x from t where id in ($1,$2) and y IN('a')", "select x from t where id in (?) and y in(?)"},
		{"insert into t (a, b) values (1, null), (2, true),(3,default)", "insert into t (a, b) values (?)"},
		{"insert into t values (1), (now()), (2)", "insert into t values (?), (now()), (?)"},
		{`select "Name", E'\'secret', $$se'cret$$ from "T"`, `select "Name", ? from "T"`},
		{"select a::text, b->>'k', count(*), arr[1] from t", "select a::text, b ->> ?, count(*), arr[?] from t"},
		{"alter role x password 'secret", "alter role x password..."},
		{"select 1 /* no end", "select ?..."},
		{"select case when x is null then null end", "select case when x is null then null end"},
		{"select " + strings.Repeat("'aaaaaaaaa', ", 500) + "1", "select ?"},
	} {
		if got := string(appendShape(nil, []byte(tt.text), true)); got != tt.want {
			t.Errorf("%.80q\nhas the shape %q\nwant          %q", tt.text, got, tt.want)
		}
	}
	long := appendShape([]byte("before"), []byte("select "+strings.Repeat("column_name, ", 500)+"x"), true)
	if len(long) > maxShape+16 || !strings.HasSuffix(string(long), "...") {
		t.Errorf("a long text has a shape of %d bytes, which ends in %q", len(long), long[len(long)-20:])
	}
}

// No literal survives, whatever the text.
func FuzzShape(f *testing.F) {
	f.Add("select 'secret'", true)
	f.Add("values ('secret', 1), (E'\\'secret', $1), ($x$secret$x$)", false)
	f.Fuzz(func(t *testing.T, text string, conforming bool) {
		shape := appendShape(nil, []byte(text), conforming)
		if len(shape) > maxShape+16 {
			t.Errorf("a shape of %d bytes", len(shape))
		}
		l := lexer{text: shape, conforming: conforming}
		for x := l.next(); x.kind != tokenEnd; x = l.next() {
			if x.kind == tokenString || x.kind == tokenNumber || x.kind == tokenParam {
				t.Fatalf("%q has the shape %q, in which %q is left", text, shape, x.text)
			}
		}
	})
}

// The heaviest shapes stay, though many light ones pass by.
func TestTopKeepsTheHeaviest(t *testing.T) {
	const room = 10
	var x top
	for i := range 5000 {
		x.add(fmt.Appendf(nil, "light %d", i), time.Millisecond, 1, 1, room)
		if i%10 == 0 {
			x.add(fmt.Appendf(nil, "heavy %d", i/10%5), 40*time.Millisecond, 2, 6, room)
		}
		if len(x.shapes) > room {
			t.Fatalf("%d shapes are kept", len(x.shapes))
		}
	}
	for i := range 5 {
		s := x.shapes[fmt.Sprint("heavy ", i)]
		if s == nil || s.calls < 150 || s.rows != 3*s.calls || s.max != 20*time.Millisecond || s.total != time.Duration(s.calls)*20*time.Millisecond {
			t.Errorf("heavy %d is kept as %+v", i, s)
		}
	}
	x.add([]byte("less room"), time.Millisecond, 1, 0, 3)
	if len(x.shapes) != 3 || x.shapes["less room"] == nil {
		t.Errorf("with room for 3 there are %v", x.shapes)
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{-1, 0, 1, firstBound, firstBound + 1, 2 * firstBound, HistogramBound(HistogramBuckets - 2), time.Hour} {
		h.observe(d, 1)
	}
	h.observe(10*firstBound, 10)
	h.observe(time.Second, 0)
	want := Histogram{Sum: h.Sum}
	want.Counts[0], want.Counts[1], want.Counts[HistogramBuckets-2], want.Counts[HistogramBuckets-1] = 14, 2, 1, 1
	if h != want || h.Count() != 18 {
		t.Errorf("got  %+v\nwant %+v", h, want)
	}
	if seconds := h.Sum / 1e6; seconds != 3600+67 {
		t.Errorf("the sum is %d seconds", seconds)
	}
	for i := range HistogramBuckets - 1 {
		var one Histogram
		one.observe(HistogramBound(i), 1)
		if one.Counts[i] != 1 {
			t.Errorf("its bound is not in bucket %d: %v", i, one.Counts)
		}
	}
}

func TestTagRows(t *testing.T) {
	for tag, want := range map[string]uint64{"SELECT 5\x00": 5, "INSERT 0 120\x00": 120, "BEGIN\x00": 0, "UPDATE 0\x00": 0, "": 0} {
		if got := tagRows([]byte(tag)); got != want {
			t.Errorf("%q tells %d rows, want %d", tag, got, want)
		}
	}
}

// numbered returns a client whose tenant's numbers are kept, and nothing else.
func numbered(top int) *client {
	server := &Server{}
	server.settings.Store(&Config{TopStatements: top, TopStatementTime: 100 * time.Millisecond})
	c := &client{w: &worker{server: server}, route: &route{tenant: &tenant{}}}
	c.backend = newBackend(nil)
	return c
}

// kept counts a query that was not slow.
func (c *client) kept(query []byte, now time.Duration) {
	c.route.waited(0)
	c.noteRunning(wire.Query, query)
	c.timed(now, 1)
	c.route.tenant.times.Transaction.observe(now, 1)
}

func TestNumbersAllocateNothing(t *testing.T) {
	c := numbered(20)
	query := []byte("select * from sale_order where id = 1\x00")
	if n := testing.AllocsPerRun(1000, func() { c.kept(query, time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations per query", n)
	}
	if n := c.route.tenant.times.Query.Count(); n != 1001 || c.route.tenant.top != nil {
		t.Errorf("%d queries, slow ones %v", n, c.route.tenant.top)
	}
	var b bucket
	if n := testing.AllocsPerRun(1000, func() { b.take(1, 1, 5); b.wait(2, 5) }); n != 0 {
		t.Errorf("%v allocations of a bucket", n)
	}
}

// BenchmarkNumbers measures what the numbers of a query cost.
func BenchmarkNumbers(b *testing.B) {
	query := []byte("SELECT sale_order.id FROM sale_order WHERE (sale_order.partner_id IN (1, 2, 3, 4, 5)) AND state = 'sale' ORDER BY date_order DESC LIMIT 80\x00")
	for _, top := range []int{0, 20} {
		b.Run(fmt.Sprint("top_statements=", top), func(b *testing.B) {
			c := numbered(top)
			for i := range b.N {
				c.kept(query, time.Duration(i%100)*time.Millisecond)
			}
		})
	}
}

func BenchmarkHistogramObserve(b *testing.B) {
	var h Histogram
	for i := range b.N {
		h.observe(time.Duration(i), 1)
	}
}

func BenchmarkShape(b *testing.B) {
	text := []byte("SELECT sale_order.id FROM sale_order WHERE (sale_order.partner_id IN (1, 2, 3, 4, 5)) AND state = 'sale' ORDER BY date_order DESC LIMIT 80")
	var room [maxShape + 16]byte
	b.ReportAllocs()
	for range b.N {
		appendShape(room[:0], text, true)
	}
}

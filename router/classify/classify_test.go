package classify_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"howdah/router/classify"
)

// small is a catalog with a few names.
func small() *classify.Catalog {
	builtin := classify.NewCatalog(nil)
	for _, o := range []string{"=", "<>", "<", "<=", ">", ">=", "+", "~~"} {
		builtin.Add(classify.Operator, o, true)
	}
	builtin.Add(classify.Function, "lower", true)
	builtin.Add(classify.Function, "count", true)
	builtin.Add(classify.Function, "random", false)
	builtin.Add(classify.Type, "int4", true)
	c := classify.NewCatalog(builtin)
	c.Add(classify.Relation, "res_partner", true)
	c.Add(classify.Relation, "doubtful", false)
	return c
}

// settled asks until there is a verdict.
func settled(tb testing.TB, c *classify.Classifier, shape string, catalog *classify.Catalog) classify.Verdict {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Microsecond) {
		if v := c.Verdict([]byte(shape), catalog); v != classify.Unknown {
			return v
		}
	}
	tb.Fatalf("no verdict for %q in a minute", shape)
	return classify.Unknown
}

func start(tb testing.TB, o classify.Options) *classify.Classifier {
	tb.Helper()
	c := classify.New(o)
	tb.Cleanup(c.Close)
	return c
}

func TestFirstSightIsUnknown(t *testing.T) {
	c := start(t, classify.Options{})
	if v := c.Verdict([]byte("select 1"), small()); v != classify.Unknown {
		t.Errorf("a shape not seen before is %v", v)
	}
	want := classify.Safe
	if !classify.Parses {
		want = classify.Unsafe
	}
	if v := settled(t, c, "select 1", small()); v != want {
		t.Errorf("select 1 is %v", v)
	}
	if s := c.Stats(); s.Shapes != 1 || s.Parsed != 1 || s.Bytes < len("select 1") {
		t.Errorf("%+v", s)
	}
}

// needParser fails a test where there is no parser.
func needParser(t *testing.T) {
	t.Helper()
	if !classify.Parses {
		t.Fatal("built without cgo, and so without the parser: apt-get install gcc libc6-dev, and leave CGO_ENABLED alone")
	}
}

// A shape is judged by each database's catalog, and by the one there is now.
func TestVerdictFollowsTheCatalog(t *testing.T) {
	needParser(t)
	c := start(t, classify.Options{})
	const shape = "select own(name) from res_partner"
	own := func(safe bool) *classify.Catalog {
		catalog := small()
		catalog.Add(classify.Function, "own", safe)
		return catalog
	}
	cast := own(true)
	cast.Add(classify.Database, "", false)
	for i, tt := range []struct {
		catalog *classify.Catalog
		want    classify.Verdict
	}{{nil, classify.Unsafe}, {small(), classify.Unsafe}, {own(false), classify.Unsafe}, {own(true), classify.Safe}, {cast, classify.Unsafe}} {
		if v := settled(t, c, shape, tt.catalog); v != tt.want {
			t.Errorf("catalog %d: %v", i, v)
		}
	}
	if s := c.Stats(); s.Parsed != 1 {
		t.Errorf("parsed %d times", s.Parsed)
	}
}

func TestNamesOfOneKindAndOverloads(t *testing.T) {
	needParser(t)
	c := start(t, classify.Options{})
	shadow := small()
	shadow.Add(classify.Function, "lower", false) // in a schema of the database's own
	twice := small()
	twice.Add(classify.Function, "f", true)
	twice.Add(classify.Function, "f", false)
	attribute := small()
	attribute.Add(classify.Attribute, "total", false)
	for _, tt := range []struct {
		shape   string
		catalog *classify.Catalog
		want    classify.Verdict
	}{
		{"select lower(name) from res_partner", small(), classify.Safe},
		{"select lower(name) from res_partner", shadow, classify.Unsafe},
		{"select f(1)", twice, classify.Unsafe},
		{"select p.total from res_partner p", small(), classify.Safe},
		{"select p.total from res_partner p", attribute, classify.Unsafe},
		{"select (p).total from res_partner p", attribute, classify.Unsafe},
		{"select total from res_partner p", attribute, classify.Safe},
		{"select 1 from doubtful", small(), classify.Unsafe},
		{"with doubtful as (select 1) select 1 from doubtful", small(), classify.Safe},
		{"with doubtful as (select 1) select 1 from public.doubtful", small(), classify.Unsafe},
		{"select 1 from (with doubtful as (select 1) select 1 from doubtful) a, doubtful b", small(), classify.Unsafe},
		{"with doubtful as (select 1 from doubtful) select 1 from doubtful", small(), classify.Unsafe},
		{"with recursive doubtful as (select 1 union select 1 from doubtful) select 1 from doubtful", small(), classify.Safe},
		{"select 1 operator(pg_catalog.+) 1", small(), classify.Safe},
		{"select 1 operator(public.+) 1", small(), classify.Unsafe},
	} {
		if v := settled(t, c, tt.shape, tt.catalog); v != tt.want {
			t.Errorf("%s: %v", tt.shape, v)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	const entries, most = 100, 40 << 10
	c := start(t, classify.Options{Shapes: entries, Bytes: most, Queue: 10})
	kept := "select 1 -- kept"
	for i := range 5000 {
		c.Verdict([]byte(kept), nil)
		shape := fmt.Sprintf("select %s as a%d", strings.Repeat("a", i%700+1), i)
		if c.Verdict([]byte(shape), nil); i%20 == 0 {
			settled(t, c, shape, nil) // the queue is empty again
		}
		if s := c.Stats(); s.Shapes > entries || s.Bytes > most {
			t.Fatalf("%+v", s)
		}
	}
	if v := c.Verdict([]byte(kept), nil); v == classify.Unknown {
		t.Error("what is always used was evicted")
	}
	s := c.Stats()
	if s.Evicted == 0 || s.Dropped == 0 || s.Parsed == 0 {
		t.Errorf("%+v", s)
	}
}

func TestManyCallers(t *testing.T) {
	c := start(t, classify.Options{Shapes: 50, Parsers: 2})
	catalog := small()
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 2000 {
				c.Verdict(fmt.Appendf(nil, "select id as a%d from res_partner", (i*7+n)%100), catalog)
			}
		})
	}
	all.Wait()
}

// Deep nesting must not end the process: the parser is recursive C.
func TestDeepShapes(t *testing.T) {
	c := start(t, classify.Options{})
	for _, part := range []string{"(", "-", "not ", "1+", "a.", "f(", "case when ", "(select ", "[", "a[", "array[", "$1,", "1::", "select 1 union ", "a and "} {
		for _, last := range []string{"1", "1" + strings.Repeat(")", classify.MaxShape/2)} {
			shape := "select " + strings.Repeat(part, classify.MaxShape/len(part)) + last
			settled(t, c, shape[:min(len(shape), classify.MaxShape)], small())
		}
		n := (classify.MaxShape - 10) / (len(part) + 1)
		settled(t, c, "select "+strings.Repeat(part, n)+"1"+strings.Repeat(")", n), small())
	}
	settled(t, c, "select "+strings.Repeat("1+", classify.MaxShape/2-8)+"1", small())
	settled(t, c, "select 1 "+strings.Repeat("union select 1 ", classify.MaxShape/15-8), small())
	if v := c.Verdict(make([]byte, classify.MaxShape+1), nil); v != classify.Unsafe {
		t.Errorf("a shape that is too long is %v", v)
	}
}

func FuzzVerdict(f *testing.F) {
	for _, s := range []string{"select 1", "select * from res_partner where id in (1)", "with a as (select 1) table a", "select '\xff'", "select 1\x00; delete from t"} {
		f.Add(s)
	}
	c := start(f, classify.Options{})
	catalog := small()
	f.Fuzz(func(t *testing.T, shape string) {
		v := settled(t, c, shape, catalog)
		if v == classify.Safe && strings.Contains(shape, "\x00") {
			t.Error("safe with a zero byte")
		}
	})
}

// shape is that of a statement of 200 bytes of Odoo's.
const shape = `select "res_partner"."id", "res_partner"."name" from "res_partner" where "res_partner"."active" = true and "res_partner"."parent_id" in ( 1) and lower("res_partner"."email") ~~ '' order by "id" limit 1`

func TestVerdictDoesNotAllocate(t *testing.T) {
	c, catalog := start(t, classify.Options{}), small()
	settled(t, c, shape, catalog)
	text := []byte(shape)
	if n := testing.AllocsPerRun(1000, func() { c.Verdict(text, catalog) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkVerdict(b *testing.B) {
	c, catalog := start(b, classify.Options{}), small()
	if v := settled(b, c, shape, catalog); v != classify.Safe && classify.Parses {
		b.Fatal(v)
	}
	text := []byte(shape)
	b.ReportAllocs()
	for b.Loop() {
		c.Verdict(text, catalog)
	}
}

// BenchmarkFirstSight is what the caller pays for a shape that is not known: less than
// half a microsecond beside the copy of it.
func BenchmarkFirstSight(b *testing.B) {
	c := start(b, classify.Options{Queue: 1})
	text := []byte(shape + "       ")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		copy(text[len(shape):], fmt.Appendf(nil, "%07d", i%1e7))
		c.Verdict(text, nil)
	}
}

func TestCursorsIfAsked(t *testing.T) {
	needParser(t)
	asked, not := start(t, classify.Options{Cursors: true}), start(t, classify.Options{})
	for shape, want := range map[string]classify.Verdict{
		"declare c cursor for select 1":                        classify.Safe,
		"declare c no scroll cursor without hold for select 1": classify.Safe,
		"declare c binary insensitive cursor for select 1":     classify.Safe,
		"declare c cursor with hold for select 1":              classify.Unsafe,
		"declare c cursor for select 1 for update":             classify.Unsafe,
		"declare c cursor for select nextval('?')":             classify.Unsafe,
		"copy (select 1) to ''":                                classify.Unsafe,
		"copy (select 1) to '?'":                               classify.Unsafe,
		"copy (select 1) to stdout":                            classify.Safe,
		"fetch all c":                                          classify.Unsafe,
	} {
		if v := settled(t, asked, shape, small()); v != want {
			t.Errorf("%s: %v", shape, v)
		}
		if v := settled(t, not, shape, small()); strings.HasPrefix(shape, "declare") && v != classify.Unsafe {
			t.Errorf("%s: %v without Cursors", shape, v)
		}
	}
}

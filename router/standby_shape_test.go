package router

import (
	"strings"
	"testing"

	"howdah/router/classify"
)

func TestSkeleton(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"SELECT 1", "select 1"},
		{"select  A.b,/* c */'x' , 2", "select a.b, '?' , 1"},
		{"select * from t where id in (1, 2,3) and n = any(array['a','b'])", "select * from t where id in ( 1) and n = any(array[ '?'])"},
		{"select f($1, $2, 'x') + $3", "select f($1) + $3"},
		{`select "A" , U&"b" from t--end`, `select "A" , U&"b" from t`},
		{"select nullif($1, ''), NULLIF (f(1, 2), (3)), nullif((1, 2), 3), f(nullif(1, 2), 3, 4)", "select nullif($1, '?'), nullif (f( 1), ( 1)), nullif(( 1), 1), f(nullif( 1, 1), 1)"},
		{"select a+-- c\n-b", "select a+ -b"},
		{"select u&E'x'", "select u& '?'"},
		{"select a.1", "select a 1"},
		{"select $$x$$, $a$ ' $a$, N'x', B'1', X'f', U&'x'", "select '?', '?', '?', '?', '?', '?'"},
		{"((select 1.5e-3))", "((select 1))"},
		{"select 1; select 2", "select 1; select 1"},
		{"insert into t values (1)", ""},
		{"", ""},
		{"/* select */", ""},
		{"select 1from t", ""},
		{"select 1..2", ""},
		{"select B'1''0'", ""},
		{"select ..2", ""},
		{"select 0x1F", ""},
		{"select f(0, $1.a)", "select f( 1 .a)"},
		{"select f(" + strings.Repeat("'x', 1, ", 5000) + "$1)", "select f( '?')"},
		{"select " + strings.Repeat("(", 1<<20), ""},
		{"select 'open", ""},
		{"select /* open", ""},
		{"select \x00 1", ""},
		{"select 'a', '" + strings.Repeat("x", maxKept) + "'", ""},
		{"select " + strings.Repeat("a,", maxSkeleton/2) + "a", ""},
	} {
		got, ok := appendSkeleton(nil, []byte(tt.text), true)
		if ok != (tt.want != "") || ok && string(got) != tt.want {
			t.Errorf("%.60q: %.80q, %v; want %.80q", tt.text, got, ok, tt.want)
		}
	}
	if got, ok := appendSkeleton(nil, []byte(`select '\'?' from t --'`), false); !ok || string(got) != "select '?' from t" {
		t.Errorf("escapes in literals: %q, %v", got, ok)
	}
}

// aStatement is a statement of 200 bytes.
const aStatement = `SELECT "res_partner"."id", "res_partner"."name" FROM "res_partner" WHERE "res_partner"."active" = true AND "res_partner"."parent_id" IN (17, 42) ORDER BY "res_partner"."display_name", "id" LIMIT 80 ; `

func TestSkeletonDoesNotAllocate(t *testing.T) {
	text, room := []byte(aStatement+"and f($1, $2) = E'x'"), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { appendSkeleton(room, text, true) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSkeleton(b *testing.B) {
	text, room := []byte(aStatement), make([]byte, 0, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		appendSkeleton(room, text, true)
	}
}

// BenchmarkClassify is what a statement costs whose shape is known.
func BenchmarkClassify(b *testing.B) {
	c := classify.New(classify.Options{})
	defer c.Close()
	catalog := classify.NewCatalog(nil)
	catalog.Add(classify.Relation, "res_partner", true)
	catalog.Add(classify.Operator, "=", true)
	text, room := []byte(aStatement), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		shape, _ := appendSkeleton(room, text, true)
		c.Verdict(shape, catalog)
	}
}

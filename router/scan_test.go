//go:build cgo

package router

import (
	"slices"
	"strings"
	"testing"

	pgquery "github.com/pganalyze/pg_query_go/v5"
)

// scan takes a text apart with PostgreSQL's own scanner, as appendSkeleton means it:
// literals are alike, and so are numbers, and comments are gone.
func scan(text string) (tokens []string, ok bool) {
	result, err := pgquery.Scan(text)
	if err != nil {
		return nil, false
	}
	for i, t := range result.Tokens {
		part, comment := text[t.Start:t.End], i > 0 && isComment(result.Tokens[i-1])
		switch t.Token {
		case pgquery.Token_SQL_COMMENT, pgquery.Token_C_COMMENT:
			continue
		case pgquery.Token_SCONST, pgquery.Token_USCONST, pgquery.Token_BCONST, pgquery.Token_XCONST:
			if comment && len(tokens) > 0 && tokens[len(tokens)-1] == "'?'" {
				return nil, false // PostgreSQL's own scanner continues literals behind comments
			}
			part = "'?'"
		case pgquery.Token_NCHAR:
			if i+1 < len(result.Tokens) && result.Tokens[i+1].Token == pgquery.Token_SCONST && strings.EqualFold(part, "n") {
				continue // N'' is both
			}
		case pgquery.Token_ICONST, pgquery.Token_FCONST:
			part = "1"
		case pgquery.Token_UIDENT:
			part = `U&""` // its end is wrong
		default:
			if !strings.HasPrefix(part, `"`) {
				part = string(appendLower(nil, []byte(part)))
			}
		}
		tokens = append(tokens, part)
	}
	return tokens, true
}

func isComment(t *pgquery.ScanToken) bool {
	return t.Token == pgquery.Token_SQL_COMMENT || t.Token == pgquery.Token_C_COMMENT
}

// withoutLists leaves one element of the lists that appendSkeleton shortens.
func withoutLists(tokens []string) (short []string) {
	value := func(s string) bool { return s == "'?'" || s == "1" || len(s) > 1 && s[0] == '$' && isDigit(s[1]) }
	bracket, pair := 0, 0 // pair is that of NULLIF, whose values are none
	for i, s := range tokens {
		switch {
		case s == "(" || s == "[":
			bracket++
			pair = 0
			if i > 0 && tokens[i-1] == "nullif" {
				pair = bracket
			}
		case s == ")" || s == "]":
			bracket--
		}
		n := len(short)
		if i >= 2 && value(s) && tokens[i-1] == "," && value(tokens[i-2]) && bracket > 0 && bracket != pair {
			short = short[:n-1]
			continue
		}
		short = append(short, s)
	}
	return short
}

// countStatements counts those in a sequence of tokens.
func countStatements(tokens []string) (n int) {
	ends := true
	for _, s := range tokens {
		if ends && s != ";" {
			n++
		}
		ends = s == ";"
	}
	return n
}

// FuzzSkeleton compares with PostgreSQL's scanner: what a skeleton says is what the
// text said, piece by piece and statement by statement.
func FuzzSkeleton(f *testing.F) {
	for _, s := range []string{
		aStatement, "select 1; select 'a;b'; -- c;\nselect $$;$$ /* ; /* ; */ */", "select a+-- x\n-b, 1.e5, .5, $1, u&'x', U&\"y\", n'x'",
		"select e'\\'', b'1', x'f', $a$ $$ $a$, a$b$, 1e-3, array[1, 2], f($1, 'x', 2) :: text",
		"select 'a'\n'b' --\n, 'c' -- d\n 'e', 'f' 'g'", "(select a.1 from b..c where d<-e and @-f)",
		"select nullif(1, 2), NULLIF ($1, 'x'), \"nullif\"(1, 2), nullif(a, nullif(1, 2))", "select f(0, $1.a)", "(select 1,''e5, 1'x', f(0,''a))",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.IndexByte(text, 0) >= 0 {
			return // the end of a message
		}
		shape, ok := appendSkeleton(nil, []byte(text), true)
		if !ok {
			return
		}
		before, ok := scan(text)
		if !ok {
			return
		}
		after, ok := scan(string(shape))
		if want := withoutLists(before); !ok || !slices.Equal(after, want) {
			t.Errorf("%q became %q:\n%q\n%q", text, shape, want, after)
		}
		if a, b := countStatements(before), countStatements(after); a != b {
			t.Errorf("%q has %d statements, its shape %q %d", text, a, shape, b)
		}
	})
}

// TestCorpusScansAlike has the corpus for the fuzzer's check.
func TestCorpusScansAlike(t *testing.T) {
	compared := 0
	for _, j := range readCorpus(t) {
		shape, ok := appendSkeleton(nil, []byte(j.text), true)
		if !ok || !j.conforming || strings.IndexByte(j.text, 0) >= 0 {
			continue
		}
		before, ok := scan(j.text)
		if !ok {
			continue
		}
		if after, _ := scan(string(shape)); !slices.Equal(after, withoutLists(before)) {
			t.Errorf("%s: became %q", j.where, shape)
		}
		compared++
	}
	if compared < 2000 {
		t.Errorf("only %d compared", compared)
	}
}

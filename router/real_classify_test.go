package router

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/router/classify"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// judged is a statement of testdata/classify with its verdict.
type judged struct {
	where      string // file and line
	text       string
	safe       bool
	conforming bool
}

func readCorpus(t *testing.T) (all []judged) {
	t.Helper()
	files, err := filepath.Glob("../testdata/classify/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if filepath.Base(name) == "README.txt" {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		for n := 1; lines.Scan(); n++ {
			if line := lines.Text(); !strings.HasPrefix(line, "#") {
				all = append(all, parseJudged(t, filepath.Base(name)+":"+strconv.Itoa(n), line))
			}
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func parseJudged(t *testing.T, where, line string) judged {
	t.Helper()
	verdict, text, _ := strings.Cut(line, " ")
	j := judged{where: where, safe: verdict == "safe", conforming: true}
	if !j.safe && verdict != "unsafe" {
		t.Fatalf("%s: begins with neither safe nor unsafe", where)
	}
	if rest, ok := strings.CutPrefix(text, "escapes "); ok {
		j.conforming, text = false, rest
	}
	if strings.HasPrefix(text, `"`) {
		var err error
		if text, err = strconv.Unquote(text); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
	}
	j.text = text
	return j
}

// readCatalog reads a server's catalog of database postgres.
func readCatalog(t *testing.T, c *pgconn.PgConn) *classify.Catalog {
	t.Helper()
	read := func(builtin *classify.Catalog) *classify.Catalog {
		catalog := classify.NewCatalog(builtin)
		shipped := strconv.FormatBool(builtin == nil)
		result := c.ExecParams(t.Context(), classify.CatalogQuery, [][]byte{[]byte(shipped), []byte(classify.PrimaryPattern())}, nil, nil, nil).Read()
		if result.Err != nil {
			t.Fatalf("read the catalog: %v", result.Err)
		}
		for _, row := range result.Rows {
			catalog.Add(classify.Kind(row[0][0]), string(row[1]), string(row[2]) == "t")
		}
		return catalog
	}
	return read(read(nil))
}

// verdict judges a text as a session would, and waits for the parser.
func verdict(t *testing.T, c *classify.Classifier, catalog *classify.Catalog, text string, conforming bool) classify.Verdict {
	t.Helper()
	shape, ok := appendSkeleton(nil, []byte(text), conforming)
	if !ok {
		return classify.Unsafe
	}
	for range 100_000 {
		if v := c.Verdict(shape, catalog); v != classify.Unknown {
			return v
		}
		time.Sleep(100 * time.Microsecond)
	}
	t.Fatalf("no verdict for %q", text)
	return classify.Unknown
}

// NeedParser fails a test where there is no parser.
func NeedParser(t *testing.T) {
	t.Helper()
	if !classify.Parses {
		t.Fatal("built without cgo, and so without the parser: apt-get install gcc libc6-dev, and leave CGO_ENABLED alone")
	}
}

// corpora are the schemas of testdata/classify, and what is executed in the database
// of each.
var corpora = []struct {
	schema, database string
	own              func(file string) bool
	judged, safe     int // statements that there are at least
}{
	{"schema.sql", "postgres", func(file string) bool { return !strings.HasPrefix(file, "regress") }, 3000, 1700},
	{"regress_schema.sql", "regress", func(file string) bool { return strings.HasPrefix(file, "regress") }, 3000, 2000},
}

// TestRealCorpus checks the verdicts of testdata/classify and executes what is safe
// at a standby.
func TestRealCorpus(t *testing.T) {
	NeedParser(t)
	primary := wiretest.StartPostgres(t)
	if err := superuser(t, primary, "postgres").Exec(t.Context(), "create database regress lc_collate 'C' lc_ctype 'C' template template0").Close(); err != nil {
		t.Fatal(err)
	}
	for _, corpus := range corpora {
		schema, err := os.ReadFile("../testdata/classify/" + corpus.schema)
		if err != nil {
			t.Fatal(err)
		}
		if err := superuser(t, primary, corpus.database).Exec(t.Context(), string(schema)).Close(); err != nil {
			t.Fatalf("%s: %v", corpus.schema, err)
		}
	}
	standby := wiretest.StartStandby(t, primary)
	c := classify.New(classify.Options{})
	defer c.Close()
	all := readCorpus(t)
	for _, corpus := range corpora {
		for ready, deadline := false, time.Now().Add(time.Minute); !ready; time.Sleep(10 * time.Millisecond) {
			err := standby.QueryRow(t.Context(), corpus.database, "select to_regclass('corpus_ready') is not null", nil, &ready)
			if time.Now().After(deadline) {
				t.Fatalf("the standby does not get the schema: %v", err)
			}
		}
		conn := superuser(t, standby, corpus.database)
		catalog, judged, safe := readCatalog(t, conn), 0, 0
		for _, j := range all {
			if !corpus.own(j.where) {
				continue
			}
			judged++
			v := verdict(t, c, catalog, j.text, j.conforming)
			if (v == classify.Safe) != j.safe {
				t.Errorf("%s: %v: %.200q", j.where, v, j.text)
			}
			if v != classify.Safe {
				continue
			}
			safe++
			if err := executeReadOnly(t.Context(), conn, j); err != nil {
				t.Errorf("%s: at the standby: %v: %.200q", j.where, err, j.text)
			}
		}
		if judged < corpus.judged || safe < corpus.safe {
			t.Errorf("%s: only %d statements, %d of them safe", corpus.schema, judged, safe)
		}
		t.Logf("%s: %d statements, %d safe; %+v; the catalog has %d names of its own", corpus.schema, judged, safe, c.Stats(), catalog.Len())
	}
}

func superuser(t *testing.T, server *postgres.Server, database string) *pgconn.PgConn {
	t.Helper()
	c, err := pgconn.Connect(t.Context(), server.AdminURL(database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// executeReadOnly executes a statement, with NULL for its parameters.
func executeReadOnly(ctx context.Context, c *pgconn.PgConn, j judged) error {
	begin := "begin read only"
	if !j.conforming {
		begin += "; set local standard_conforming_strings = off"
	}
	if err := c.Exec(ctx, begin).Close(); err != nil {
		return err
	}
	defer func() { c.Exec(ctx, "rollback").Close() }()
	switch {
	case strings.HasPrefix(j.text, "COPY"):
		_, err := c.CopyTo(ctx, io.Discard, j.text)
		return err
	case !strings.Contains(j.text, "$1"):
		return c.Exec(ctx, j.text).Close()
	}
	s, err := c.Prepare(ctx, "", j.text, nil)
	if err != nil {
		return err
	}
	return c.ExecPrepared(ctx, "", make([][]byte, len(s.ParamOIDs)), nil, nil).Read().Err
}

// TestCorpusAtOnce has every statement's shape waited for by nobody: none is safe at
// its first sight.
func TestCorpusAtOnce(t *testing.T) {
	c := classify.New(classify.Options{Queue: 1})
	defer c.Close()
	seen := map[string]bool{}
	for _, j := range readCorpus(t) {
		shape, ok := appendSkeleton(nil, []byte(j.text), j.conforming)
		if v := c.Verdict(shape, nil); ok && v == classify.Safe {
			t.Errorf("%s: safe without a catalog", j.where)
		} else if ok && !seen[string(shape)] && v != classify.Unknown {
			t.Errorf("%s: %v at first sight", j.where, v)
		}
		seen[string(shape)] = true
	}
}

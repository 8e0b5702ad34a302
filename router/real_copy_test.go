package router_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// TestRealMessages tests COPY, function calls, large objects and pipelines, in front of one PostgreSQL.
func TestRealMessages(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"Copy", testCopy},
		{"BigCopy", testBigCopy},
		{"FunctionCall", testFunctionCall},
		{"LargeObjects", testLargeObjects},
		{"PipelinesWithErrorsInside", testPipelinesWithErrorsInside},
		{"PipelineOfManySyncs", testPipelineOfManySyncs},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

func testCopy(t *testing.T, h *house) {
	h.sql(t, "drop table if exists target", "create table target (n int, s text)", "grant all on target to acme")
	d := h.open(t, poolSize(1))
	data := func(s string) pgproto3.FrontendMessage { return &pgproto3.CopyData{Data: []byte(s)} }
	done, in := &pgproto3.CopyDone{}, query("copy target from stdin")
	for _, c := range []struct {
		name, want string
		messages   []pgproto3.FrontendMessage
	}{
		{"in", "CopyInResponse; COPY 2; ready I", []pgproto3.FrontendMessage{in, data("1\ta\n2\t"), data("b\n"), done}},
		{"out", "CopyOutResponse; data 1\tx; data 2\tx; CopyDone; COPY 2; ready I", []pgproto3.FrontendMessage{query("copy (select n, 'x' from generate_series(1, 2) n) to stdout")}},
		{"in, nothing", "CopyInResponse; COPY 0; ready I", []pgproto3.FrontendMessage{in, done}},
		{"in, given up", "CopyInResponse; error 57014; ready I", []pgproto3.FrontendMessage{in, data("1\ta\n"), &pgproto3.CopyFail{Message: "no"}}},
		{"in, bad row, the rest is ignored", "CopyInResponse; error 22P02; ready I", []pgproto3.FrontendMessage{in, data("one\ta\n"), data("2\tb\n"), data("3\tc\n"), done}},
		{"in, refused at once, the data is ignored", "error 42P01; ready I", []pgproto3.FrontendMessage{query("copy nowhere from stdin"), data("1\n"), data("2\n"), done}},
		{"out, with an error inside", "CopyOutResponse; data 1; error 22012; ready I", []pgproto3.FrontendMessage{query("copy (select 1 / (2 - n) from generate_series(1, 9) n) to stdout")}},
		{"in, then out, in one Query", "CopyInResponse; COPY 1; CopyOutResponse; data 7; CopyDone; COPY 1; row 8; SELECT 1; ready I", []pgproto3.FrontendMessage{query("copy target from stdin; copy (select 7) to stdout; select 8"), data("1\ta\n"), done}},
		{"in, extended", "parsed; bound; CopyInResponse; COPY 1; ready I", []pgproto3.FrontendMessage{parse("", "copy target from stdin"), bind(""), execute, data("1\ta\n"), done, syncMsg}},
		{"in, extended, bad row", "parsed; bound; CopyInResponse; error 22P02; ready I", []pgproto3.FrontendMessage{parse("", "copy target from stdin"), bind(""), execute, data("one\ta\n"), done, syncMsg}},
		{"out, extended", "parsed; bound; CopyOutResponse; data 7; CopyDone; COPY 1; ready I", []pgproto3.FrontendMessage{parse("", "copy (select 7) to stdout"), bind(""), execute, syncMsg}},
		{"stray messages outside of COPY", "row 1; SELECT 1; ready I", []pgproto3.FrontendMessage{data("1\n"), done, &pgproto3.CopyFail{}, query("select 1")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := d.raw(t)
			r.expect(t, c.want, c.messages...)
			r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
			// The server is free for others, and nothing stray is in it.
			next := d.raw(t)
			next.expect(t, "row 2; SELECT 1; ready I", query("select 2"))
			r.Close()
			next.Close()
			d.atRest(t)
		})
	}
}

// testBigCopy takes 50 MB in and out again.
func testBigCopy(t *testing.T, h *house) {
	h.sql(t, "drop table if exists target", "create unlogged table target (n int, s text)", "grant all on target to acme")
	d := h.open(t)
	c := d.connect(t)
	line := strings.Repeat("x", 990)
	var text bytes.Buffer
	for n := range 50_000 {
		fmt.Fprintf(&text, "%d\t%s\n", n, line)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	whole := text.Bytes()
	if tag, err := c.PgConn().CopyFrom(ctx, bytes.NewReader(whole), "copy target from stdin"); err != nil || tag.RowsAffected() != 50_000 {
		t.Fatalf("%s, %v", tag, err)
	}
	var out bytes.Buffer
	if _, err := c.PgConn().CopyTo(ctx, &out, "copy (select * from target order by n) to stdout"); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), whole) {
		t.Errorf("%d bytes came back of %d, or others", out.Len(), len(whole))
	}
}

// testFunctionCall uses the message that libpq's PQfn and large objects use.
func testFunctionCall(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	r := d.raw(t)
	oid := func(name string) uint32 { return ask[uint32](t, h, "select $1::regprocedure::oid", name) }
	call := func(name string, args ...[]byte) pgproto3.FrontendMessage {
		return &pgproto3.FunctionCall{Function: oid(name), ArgFormatCodes: []uint16{1}, Arguments: args, ResultFormatCode: 1}
	}
	number := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	r.expect(t, "result \x00\x00\x00\x2a; ready I", call("int4pl(int,int)", number(40), number(2)))
	r.expect(t, "error 22012; ready I", call("int4div(int,int)", number(1), number(0)))
	r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	r.say(t, query("begin; select 1"))
	r.expect(t, "result \x00\x00\x00\x2a; ready T", call("int4pl(int,int)", number(40), number(2)))
	r.expect(t, "ROLLBACK; ready I", query("rollback"))
}

func testLargeObjects(t *testing.T, h *house) {
	d := h.open(t)
	c := d.connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MB
	var oid uint32
	err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) (err error) {
		lo := tx.LargeObjects()
		if oid, err = lo.Create(ctx, 0); err != nil {
			return err
		}
		o, err := lo.Open(ctx, oid, pgx.LargeObjectModeWrite)
		if err != nil {
			return err
		}
		_, err = o.Write(want)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		lo := tx.LargeObjects()
		o, err := lo.Open(ctx, oid, pgx.LargeObjectModeRead)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(o)
		if err == nil && !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back of %d, or others", len(got), len(want))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// testPipelinesWithErrorsInside sends batches of which one statement fails.
func testPipelinesWithErrorsInside(t *testing.T, h *house) {
	h.sql(t, "create table batch (n int)", "grant all on batch to acme")
	d := h.open(t, poolSize(2))
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			c := d.connect(t, func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = mode })
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			for k := range 20 {
				do(t, c, "truncate batch")
				b := &pgx.Batch{}
				for n := range 10 {
					if n == k%10 {
						b.Queue("select 1 / $1::int", 0)
					}
					b.Queue("insert into batch values ($1)", n)
				}
				if err := c.SendBatch(ctx, b).Close(); state(err) != "22012" {
					t.Fatalf("got %v", err)
				}
				if n := get[int](t, c, "select count(*) from batch"); n != 0 {
					t.Fatalf("%d rows of a failed batch are there", n)
				}
				b = &pgx.Batch{}
				for n := range 10 {
					b.Queue("insert into batch values ($1)", n)
				}
				if err := c.SendBatch(ctx, b).Close(); err != nil {
					t.Fatal(err)
				}
				if n := get[int](t, c, "select count(*) from batch"); n != 10 {
					t.Fatalf("%d rows of 10 are there", n)
				}
			}
		})
	}
}

// testPipelineOfManySyncs has errors in some of its parts only.
func testPipelineOfManySyncs(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	r := d.raw(t)
	var messages []pgproto3.FrontendMessage
	var want []string
	for k := range 100 {
		name := fmt.Sprint("p", k)
		if k%3 == 0 {
			messages = append(messages, parse(name, "selekt"), bind(name), execute, syncMsg)
			want = append(want, "error 42601", "ready I")
			continue
		}
		messages = append(messages, parse(name, fmt.Sprint("select ", k)), bind(name), execute, syncMsg)
		want = append(want, "parsed", "bound", fmt.Sprint("row ", k), "SELECT 1", "ready I")
	}
	r.expect(t, strings.Join(want, "; "), messages...)
}

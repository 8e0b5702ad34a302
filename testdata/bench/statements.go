package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// statement is one of them: its request but for the key, and the right answer,
// which no other statement gives.
type statement struct {
	name, sql string
	reply     []byte
}

// makeStatements writes them down. pgbench fills abalance with zeros, and nothing
// here changes that, so each answer is its statement's own number. All answers
// have one length.
func makeStatements(n int) ([]statement, error) {
	statements := make([]statement, n)
	for i := range statements {
		s := &statements[i]
		number := strconv.Itoa(1000 + i)
		s.name = "statement_" + number
		s.sql = "select " + number + " + abalance from pgbench_accounts where aid = $1"
		for _, m := range []pgproto3.BackendMessage{
			&pgproto3.BindComplete{},
			&pgproto3.DataRow{Values: [][]byte{[]byte(number)}},
			&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")},
			&pgproto3.ReadyForQuery{TxStatus: 'I'},
		} {
			var err error
			if s.reply, err = m.Encode(s.reply); err != nil {
				return nil, err
			}
		}
	}
	return statements, nil
}

// request appends Bind, Execute, Sync of the statement for a row.
func (s *statement) request(into []byte, aid int) ([]byte, error) {
	bind := pgproto3.Bind{PreparedStatement: s.name, Parameters: [][]byte{strconv.AppendInt(nil, int64(aid), 10)}}
	into, err := bind.Encode(into)
	if err != nil {
		return nil, err
	}
	if into, err = (&pgproto3.Execute{}).Encode(into); err != nil {
		return nil, err
	}
	return (&pgproto3.Sync{}).Encode(into)
}

// preparedLoad is the statements and those who run them.
type preparedLoad struct {
	statements []statement
	rows       int // of pgbench_accounts
}

// connect logs clients in and has each prepare everything.
func (l *preparedLoad) connect(ctx context.Context, url string) (*preparedCrowd, error) {
	c := &preparedCrowd{load: l, conns: make([]*pgconn.HijackedConn, preparedClients)}
	errs := make([]error, preparedClients)
	var all sync.WaitGroup
	for i := range c.conns {
		all.Go(func() { c.conns[i], errs[i] = l.join(ctx, url) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		c.leave()
		return nil, err
	}
	return c, nil
}

func (l *preparedLoad) join(ctx context.Context, url string) (*pgconn.HijackedConn, error) {
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	for _, s := range l.statements {
		if _, err := conn.Prepare(ctx, s.name, s.sql, nil); err != nil {
			return nil, errors.Join(err, conn.Close(ctx))
		}
	}
	return conn.Hijack()
}

// preparedCrowd are the clients at one address, which stay over all its runs.
type preparedCrowd struct {
	load  *preparedLoad
	conns []*pgconn.HijackedConn
}

func (c *preparedCrowd) leave() {
	for _, conn := range c.conns {
		if conn != nil {
			_ = conn.Conn.Close() // what it was there for is done
		}
	}
}

// run lets all clients run statements for a time. pid is whose CPU time is
// wanted, 0 for nobody's.
func (c *preparedCrowd) run(ctx context.Context, pid int, length time.Duration) (o outcome, err error) {
	var before, after cpuTime
	if pid != 0 {
		if before, err = readCPU(pid); err != nil {
			return o, err
		}
	}
	var done atomic.Int64
	errs := make([]error, len(c.conns))
	var all sync.WaitGroup
	begun := time.Now()
	for i, conn := range c.conns {
		if err := conn.Conn.SetDeadline(begun.Add(length + 10*time.Second)); err != nil {
			return o, err
		}
		all.Go(func() {
			n, err := c.load.repeat(ctx, conn.Conn, begun.Add(length))
			done.Add(int64(n))
			errs[i] = err
		})
	}
	all.Wait()
	elapsed := time.Since(begun)
	if pid != 0 {
		if after, err = readCPU(pid); err != nil {
			return o, err
		}
	}
	o = outcome{tps: float64(done.Load()) / elapsed.Seconds(), transactions: int(done.Load()), cpu: after.sub(before)}
	if o.transactions == 0 {
		errs = append(errs, errors.New("no statement was run"))
	}
	return o, errors.Join(append(errs, ctx.Err())...)
}

// repeat runs one statement after another until the time is up and returns how
// many.
func (l *preparedLoad) repeat(ctx context.Context, conn io.ReadWriter, until time.Time) (n int, err error) {
	var request []byte
	reply := make([]byte, len(l.statements[0].reply))
	for ; time.Now().Before(until) && ctx.Err() == nil; n++ {
		s := &l.statements[rand.IntN(len(l.statements))]
		if request, err = s.request(request[:0], 1+rand.IntN(l.rows)); err != nil {
			return n, err
		}
		if _, err := conn.Write(request); err != nil {
			return n, fmt.Errorf("send %q: %w", s.name, err)
		}
		got, err := io.ReadFull(conn, reply)
		if err != nil {
			return n, fmt.Errorf("read the answer to %q: %w after %q", s.name, err, reply[:got])
		}
		if !bytes.Equal(reply, s.reply) {
			return n, fmt.Errorf("the answer to %q is %q, not %q", s.name, reply, s.reply)
		}
	}
	return n, nil
}

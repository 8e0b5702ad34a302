package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sys/unix"
)

// pipeline is a load of batches: so many transactions in one write, then all
// their answers, which must be the expected bytes.
type pipeline struct {
	name           string
	request, reply []byte // of a batch
	depth          int    // transactions in it
}

// preparedName is the statement that clients prepare before they start.
const preparedName = "s"

// simplePipeline sends Query messages, each its own transaction.
func simplePipeline(a answers, depth int) (pipeline, error) {
	query, err := (&pgproto3.Query{String: "select 1"}).Encode(nil)
	if err != nil {
		return pipeline{}, err
	}
	return pipeline{"Query", bytes.Repeat(query, depth), bytes.Repeat(a.query, depth), depth}, nil
}

// preparedPipeline sends Bind, Execute, Sync of a named statement.
func preparedPipeline(a answers, depth int) (pipeline, error) {
	var request []byte
	for _, m := range []pgproto3.FrontendMessage{
		&pgproto3.Bind{PreparedStatement: preparedName}, &pgproto3.Execute{}, &pgproto3.Sync{},
	} {
		var err error
		if request, err = m.Encode(request); err != nil {
			return pipeline{}, err
		}
	}
	reply := slices.Concat(a.bind, a.execute, a.ready)
	return pipeline{"Bind, Execute, Sync", bytes.Repeat(request, depth), bytes.Repeat(reply, depth), depth}, nil
}

// run lets clients clients of each URL send batches for a time and returns
// transactions per second.
func (l pipeline) run(ctx context.Context, urls []string, clients int, length time.Duration) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var conns []*pgconn.HijackedConn
	defer func() {
		for _, c := range conns {
			_ = c.Conn.Close() // the figure is taken already
		}
	}()
	for range clients {
		for _, url := range urls {
			conn, err := l.connect(ctx, url)
			if err != nil {
				return 0, err
			}
			conns = append(conns, conn)
		}
	}
	var done atomic.Int64
	var all sync.WaitGroup
	begun := time.Now()
	for _, conn := range conns {
		all.Go(func() {
			if err := l.repeat(conn, begun.Add(length), &done); err != nil {
				cancel(err)
			}
		})
	}
	stop := context.AfterFunc(ctx, func() { // also Ctrl-C: nobody waits for an answer any more
		for _, c := range conns {
			_ = c.Conn.SetDeadline(begun)
		}
	})
	all.Wait()
	elapsed := time.Since(begun)
	stop()
	return float64(done.Load()) / elapsed.Seconds(), context.Cause(ctx)
}

func (l pipeline) connect(ctx context.Context, url string) (*pgconn.HijackedConn, error) {
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Prepare(ctx, preparedName, "select 1", nil); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn.Hijack()
}

// batchReader reads the answers to one batch after another. It has the kernel
// wake it only when all that is missing is there: a batch costs one wake-up,
// however small the pieces its answers come in.
type batchReader struct {
	conn net.Conn
	raw  syscall.RawConn
	mark int // SO_RCVLOWAT as last set
}

func newBatchReader(conn net.Conn) (*batchReader, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("%T is no TCP connection", conn)
	}
	raw, err := tcp.SyscallConn()
	return &batchReader{conn: conn, raw: raw}, err
}

// read fills into. The mark follows what is missing: with the whole batch's
// length still set, a reader that got a first part early would never be woken
// for the rest.
func (r *batchReader) read(into []byte) error {
	for got := 0; got < len(into); {
		if err := r.wakeFor(len(into) - got); err != nil {
			return err
		}
		n, err := r.conn.Read(into[got:])
		got += n
		if err != nil {
			return fmt.Errorf("read a batch's answers: %w after %d of %d bytes", err, got, len(into))
		}
	}
	return nil
}

// wakeFor sets the mark. If so many bytes are there already the kernel wakes
// the reader at once.
func (r *batchReader) wakeFor(bytes int) error {
	if bytes == r.mark {
		return nil
	}
	r.mark = bytes
	var setErr error
	err := r.raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes)
	})
	return errors.Join(err, setErr)
}

// repeat sends batch after batch until the time is up.
func (l pipeline) repeat(conn *pgconn.HijackedConn, until time.Time, done *atomic.Int64) error {
	if err := conn.Conn.SetDeadline(until.Add(10 * time.Second)); err != nil {
		return err
	}
	reader, err := newBatchReader(conn.Conn)
	if err != nil {
		return err
	}
	got := make([]byte, len(l.reply))
	for time.Now().Before(until) {
		if _, err := conn.Conn.Write(l.request); err != nil {
			return fmt.Errorf("send a batch: %w", err)
		}
		if err := reader.read(got); err != nil {
			return err
		}
		if !bytes.Equal(got, l.reply) {
			return fmt.Errorf("answers are not those expected: %q", got[:min(len(got), 200)])
		}
		done.Add(int64(l.depth))
	}
	return nil
}

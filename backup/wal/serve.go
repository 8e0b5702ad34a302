package wal

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// What a restore_command and the process that reads the store say to each other, over a
// Unix socket, one connection for each file:
//
//	get NAME\n     the question
//	absent\n       it is not there
//	trouble WHY\n  it could not be told, or read
//	ok\n           then pieces, each behind its length in four bytes, the highest first;
//	               then a length of 0, and the SHA-256 of all
//
// An answer that breaks off is trouble.

const (
	lineMost     = 4 << 10          // bytes of a line
	piece        = 1 << 20          // bytes of a piece, at most
	questionTime = 10 * time.Second // for the question to come, and for a piece to go
	acceptPause  = 100 * time.Millisecond
)

// Serve answers restore_commands that run Get until the context is done. get writes a
// file, as Fetch does and Source.Get: ErrAbsent is that there is none.
func Serve(ctx context.Context, l net.Listener, get func(ctx context.Context, name string, into io.Writer) error) error {
	return accept(ctx, l, func(error) {}, func(ctx context.Context, conn net.Conn) { answerTo(ctx, conn, get) })
}

// accept has each connection be answered, in a goroutine of its own, until the context is
// done. Where none can be accepted, for too many files are open perhaps, trouble is told once
// until one can.
func accept(ctx context.Context, l net.Listener, trouble func(error), answer func(context.Context, net.Conn)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var all sync.WaitGroup
	defer all.Wait()
	var who users
	for told := false; ; {
		conn, err := l.Accept()
		if err == nil {
			told = false
			all.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				who.answer(ctx, conn, answer)
			})
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		err = fmt.Errorf("accept an archive_command or restore_command: %w", err)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if !told {
			told = true
			trouble(err)
		}
		sleep(ctx, acceptPause)
	}
}

// answerTo answers one question. What goes wrong with the connection the other end sees.
func answerTo(ctx context.Context, conn net.Conn, get func(ctx context.Context, name string, into io.Writer) error) {
	if conn.SetDeadline(time.Now().Add(questionTime)) != nil {
		return
	}
	line, err := bufio.NewReader(io.LimitReader(conn, lineMost)).ReadString('\n')
	name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "get ")
	if err != nil || !ok {
		return
	}
	a := &answer{conn: conn, sum: sha256.New()}
	a.give(get(ctx, name, a))
}

// give ends an answer: with the outcome of the function that has written the file.
func (a *answer) give(err error) {
	switch {
	case err == nil:
		a.end()
	case a.begun: // breaking off says that it was not all
	case errors.Is(err, ErrAbsent):
		a.line("absent")
	default:
		a.trouble(err)
	}
}

func (a *answer) trouble(err error) {
	a.line("trouble " + strings.ReplaceAll(err.Error(), "\n", "; "))
}

// answer writes a file to whoever has asked for it.
type answer struct {
	conn  net.Conn
	begun bool
	sum   hash.Hash
}

func (a *answer) line(text string) {
	if len(text) >= lineMost {
		text = text[:lineMost-1]
	}
	_ = a.send([]byte(text + "\n"))
}

func (a *answer) send(p []byte) error {
	if err := a.conn.SetDeadline(time.Now().Add(questionTime)); err != nil {
		return err
	}
	_, err := a.conn.Write(p)
	return err
}

func (a *answer) begin() error {
	if a.begun {
		return nil
	}
	a.begun = true
	return a.send([]byte("ok\n"))
}

func (a *answer) Write(p []byte) (n int, err error) {
	if err := a.begin(); err != nil {
		return 0, err
	}
	for len(p) > 0 {
		part := p[:min(len(p), piece)]
		a.sum.Write(part)
		if err := a.send(binary.BigEndian.AppendUint32(nil, uint32(len(part)))); err != nil {
			return n, err
		}
		if err := a.send(part); err != nil {
			return n, err
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

func (a *answer) end() {
	if a.begin() == nil {
		_ = a.send(append(make([]byte, 4), a.sum.Sum(nil)...))
	}
}

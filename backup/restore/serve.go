package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/wal"
	"howdah/wire/postgres"
)

// serveAndRun serves WAL to the server until the target is met. get is the command by which
// it asks, in front of the socket's path.
func (r *recovery) serveAndRun(ctx context.Context, repo *repository.Repository, p *Plan, get []string) (*postgres.Server, error) {
	get, err := r.command(get)
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(r.beside, "wal")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	if err := postgres.OwnScratch(socket); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	source := wal.NewSource(serving, repo, p.contents, p.Until.LSN)
	r.inPlace = wal.NewInPlace(p.Identity.Segment)
	go func() {
		served <- wal.Serve(serving, listener, func(ctx context.Context, name string, into io.Writer) error {
			r.asked(p, name)
			err := r.fetch(ctx, repo, p, source, name, into)
			switch {
			case err == nil:
				r.given(p, name)
			case !errors.Is(err, wal.ErrAbsent):
				r.refused(fmt.Errorf("get %s: %w", name, err))
			}
			return err
		})
	}()
	defer func() {
		stop()
		<-served
		source.Wait()
	}()
	r.get = append(get, socket)
	if err := r.prepare(postgres.OwnScratch); err != nil {
		return nil, err
	}
	s, err := r.run(ctx, p)
	if err != nil {
		err = errors.Join(r.why(), err)
	}
	return s, err
}

// refused notes why the server did not get a file: what it says of that itself is no more
// than that it did not.
func (r *recovery) refused(err error) {
	r.telling.Lock()
	defer r.telling.Unlock()
	if r.trouble == nil {
		r.trouble = err
	}
}

func (r *recovery) why() error {
	r.telling.Lock()
	defer r.telling.Unlock()
	return r.trouble
}

// given notes that the server was given a segment.
func (r *recovery) given(p *Plan, name string) {
	if _, start, err := replication.ParseSegment(name, p.Identity.Segment); err == nil {
		r.telling.Lock()
		defer r.telling.Unlock()
		r.last = max(r.last, start)
	}
}

// lastGiven is where the last segment begins that the server was given: it asks for one when
// it has read those before.
func (r *recovery) lastGiven() replication.LSN {
	r.telling.Lock()
	defer r.telling.Unlock()
	return r.last
}

// asked tells how far the server is, which asks for a segment when it has read those before.
func (r *recovery) asked(p *Plan, name string) {
	_, start, err := replication.ParseSegment(name, p.Identity.Segment)
	if err != nil || r.progress == nil || start < p.Base.Start.LSN || start > p.Until.LSN {
		return
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	r.progress(base.Progress{Done: int64(start - p.Base.Start.LSN), Total: p.WALBytes()})
}

// fetch gets a file of WAL as the plan has it: nothing of what was stored since it was
// made, for that may be of after the target. Tablespaces are made in the data directory.
func (r *recovery) fetch(ctx context.Context, repo *repository.Repository, p *Plan, source *wal.Source, name string, into io.Writer) error {
	size := p.Identity.Segment
	_, start, err := replication.ParseSegment(name, size)
	switch {
	case err != nil:
		// Of all timelines: the server looks which number is free for its own.
		all := *p.contents
		all.Timeline = 0
		return all.Fetch(ctx, repo, name, into)
	case start >= p.Until.LSN:
		return wal.ErrAbsent
	}
	return r.inPlace.Pass(start, into, func(into io.Writer) error {
		return source.Get(ctx, name, &capped{into: into, left: int64(min(p.Until.LSN-start, size))})
	})
}

// capped passes so many bytes on, and zeros in place of the others.
type capped struct {
	into  io.Writer
	left  int64
	zeros []byte
}

func (c *capped) Write(b []byte) (int, error) {
	n := int(min(c.left, int64(len(b))))
	c.left -= int64(n)
	if _, err := c.into.Write(b[:n]); err != nil || n == len(b) {
		return n, err
	}
	if rest := len(b) - n; len(c.zeros) < rest {
		c.zeros = make([]byte, rest)
	}
	m, err := c.into.Write(c.zeros[:len(b)-n])
	return n + m, err
}

// command returns the command by which the server gets WAL, which its OS user must be able
// to run: where this program is, it may not come.
func (r *recovery) command(get []string) ([]string, error) {
	if !postgres.IsOther() {
		return get, nil
	}
	program := filepath.Join(r.beside, "howdah")
	if err := copyFile(get[0], program); err != nil {
		return nil, fmt.Errorf("copy this program for the server: %w", err)
	}
	return append([]string{program}, get[1:]...), postgres.OwnScratch(program)
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

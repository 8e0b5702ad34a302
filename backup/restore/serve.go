package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

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
	go func() {
		served <- wal.Serve(serving, listener, func(ctx context.Context, name string, into io.Writer) error {
			return p.contents.Fetch(ctx, repo, name, into)
		})
	}()
	defer func() {
		stop()
		<-served
	}()
	r.get = append(get, socket)
	if err := r.prepare(postgres.OwnScratch); err != nil {
		return nil, err
	}
	return r.run(ctx, p)
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

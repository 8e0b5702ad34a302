package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"

	"howdah/backup/repository"
	"howdah/backup/wal"
)

// walDoor is what archive_commands and restore_commands on this machine are answered by.
type walDoor struct {
	d   *daemon
	ctx context.Context // of the sources

	mu       sync.Mutex
	archives map[string]*wal.Archive // by the settings that they are opened by

	listing sync.Mutex // held while WAL is listed, too
	sources map[string]*walSource
}

// walSource gives a cluster's WAL as it was listed a while ago.
type walSource struct {
	*wal.Source
	repo   *repository.Repository
	listed time.Time
	stop   context.CancelFunc
}

// listAgain is for how long a list of WAL is used: what is stored later is found too, but
// for timelines that begin later.
const listAgain = time.Minute

// serveWALDoor listens on wal_socket, if there is one.
func (d *daemon) serveWALDoor(ctx context.Context, serving *sync.WaitGroup) error {
	path := d.current().Backup.WALSocket
	if path == "" {
		return nil
	}
	l, err := listenUnix(path, 0o666, -1) // who may is looked at for each cluster
	if err != nil {
		return fmt.Errorf("wal_socket: %w", err)
	}
	d.log.Info("listening", "wal_socket", path)
	w := &walDoor{d: d, ctx: ctx, archives: map[string]*wal.Archive{}, sources: map[string]*walSource{}}
	door := &wal.Door{May: w.may, Get: w.get, Push: w.push, Trouble: func(err error) {
		d.log.Error("wal_socket lets nobody in for now", "error", err)
	}}
	serving.Go(func() {
		defer w.wait()
		if err := door.Serve(ctx, l); err != nil {
			d.log.Error("wal_socket is served no more", "error", err)
		}
	})
	return nil
}

// may lets in root, who runs Howdah, and the cluster's os_user.
func (w *walDoor) may(cluster string, uid uint32) error {
	c, ok := w.d.registry.Snapshot().Cluster(cluster)
	switch {
	case uid == 0 || int(uid) == os.Geteuid():
	case !ok: // which of those there are is nobody else's business
		return fmt.Errorf("cluster %q has no os_user that you are", cluster)
	default:
		u, err := user.Lookup(c.OSUser)
		if c.OSUser == "" || err != nil || u.Uid != strconv.FormatUint(uint64(uid), 10) {
			return fmt.Errorf("cluster %q has no os_user that you are", cluster)
		}
	}
	if !ok {
		return fmt.Errorf("cluster %q: %w", cluster, errNotFound)
	}
	return nil
}

// key is what an archive or a source is opened by: another one is opened when that changes.
func (w *walDoor) key(cluster string) string {
	config := w.d.current()
	s, known := config.storeOfKnown(cluster)
	if s == nil {
		s = &Store{}
	}
	return fmt.Sprintf("%q %t %q %q %q %q", cluster, known, s.URL, s.CredentialsFile, s.Recipients, config.Backup.IdentityFile)
}

func (w *walDoor) push(ctx context.Context, cluster string, f wal.Archived, data io.ReaderAt) error {
	archive, err := w.archive(cluster)
	if err == nil {
		err = archive.Push(ctx, f, data)
	}
	if err != nil && ctx.Err() == nil {
		w.d.log.Error("WAL is not archived", "cluster", cluster, "file", f.Name, "error", err)
	}
	return err
}

func (w *walDoor) archive(cluster string) (*wal.Archive, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := w.key(cluster)
	if a := w.archives[key]; a != nil {
		return a, nil
	}
	config := w.d.current()
	repo, err := config.repositoryOf(cluster, (*Store).open)
	if err != nil {
		return nil, err
	}
	w.archives[key] = &wal.Archive{Repo: repo}
	return w.archives[key], nil
}

func (w *walDoor) get(ctx context.Context, cluster, name string, into io.Writer) error {
	source, err := w.source(ctx, cluster)
	if err == nil {
		err = source.Get(ctx, name, into)
	}
	if err != nil && !errors.Is(err, wal.ErrAbsent) && ctx.Err() == nil {
		w.d.log.Error("WAL cannot be given", "cluster", cluster, "file", name, "error", err)
	}
	return err
}

func (w *walDoor) source(ctx context.Context, cluster string) (*walSource, error) {
	w.listing.Lock()
	defer w.listing.Unlock()
	key := w.key(cluster)
	old := w.sources[key]
	if old != nil && time.Since(old.listed) < listAgain {
		return old, nil
	}
	s := &walSource{listed: time.Now()}
	if config := w.d.current(); old != nil {
		s.repo = old.repo
	} else if repo, err := config.repositoryOf(cluster, (*Store).openToRead); err != nil {
		return nil, err
	} else {
		s.repo = repo
	}
	contents, err := wal.List(ctx, s.repo)
	if err != nil {
		return nil, err
	}
	var fetching context.Context
	fetching, s.stop = context.WithCancel(w.ctx)
	s.Source = wal.NewSource(fetching, s.repo, contents, 0)
	if w.sources[key] = s; old != nil {
		old.stop()
	}
	return s, nil
}

// wait returns when nothing is being fetched any more.
func (w *walDoor) wait() {
	w.listing.Lock()
	defer w.listing.Unlock()
	for _, s := range w.sources {
		s.stop()
		s.Wait()
	}
}

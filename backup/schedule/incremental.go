package schedule

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"howdah/backup/base"
	"howdah/backup/store"
)

// summarizes reports whether a server can tell what has changed since a base backup.
func summarizes(ctx context.Context, url string) (bool, error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return false, fmt.Errorf("ask whether WAL is summarized: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version int
	var on bool
	err = conn.QueryRow(ctx, "select current_setting('server_version_num')::int, coalesce(current_setting('summarize_wal', true), 'off') = 'on'").Scan(&version, &on)
	return version/10000 >= base.OldestIncremental && on, err
}

// changed says why a base backup of what has changed is to be taken; "" is that none is, or
// that the server cannot tell it, which the log says once.
func (s *Scheduler) changed(ctx context.Context, why string) (string, error) {
	if why == "" {
		return "", nil
	}
	able, err := false, error(nil)
	for _, url := range s.places() {
		able, err = summarizes(ctx, cmp.Or(url, s.URL()))
		if able {
			break
		}
	}
	if err != nil {
		return "", err
	}
	if !able && !s.unable {
		s.Log.Warn("no incremental base backups are taken, but full ones when they are due: these need PostgreSQL 17 or newer, with summarize_wal on")
	}
	if s.unable = !able; !able {
		return "", nil
	}
	return why, nil
}

// places are where base backups may be taken, the first to be tried first, as takeAt takes
// them.
func (s *Scheduler) places() []string {
	if url := s.baseURL(); url != "" {
		return []string{url, ""}
	}
	return []string{""}
}

// takeChanges takes a base backup of what has changed since the last one; of all where that
// cannot be done. The primary is not spared one of what has changed, which is little.
func (s *Scheduler) takeChanges(ctx context.Context, why string) error {
	o := base.Options{MaxRate: s.Settings().MaxRate, Spread: true}
	var failed []error
	for _, url := range s.places() {
		err := s.takeSince(ctx, url, why, o)
		if err == nil || ctx.Err() != nil || errors.Is(err, errElsewhere) {
			return err
		}
		failed = append(failed, err)
	}
	s.Log.Warn("an incremental base backup cannot be taken, and a full one is", "since", s.last.ID, "error", errors.Join(failed...))
	_, err := s.take(ctx, why+"; an incremental one cannot be taken", o)
	return err
}

// takeSince takes what has changed.
func (s *Scheduler) takeSince(ctx context.Context, url, why string, o base.Options) error {
	since, err := s.since(ctx)
	if err != nil {
		return err
	}
	defer since.Close()
	o.Since = &base.Since{Manifest: s.last, BackupManifest: since}
	_, err = s.takeAt(ctx, url, why, o)
	return err
}

// since opens PostgreSQL's manifest of the last base backup: the one that was kept here, or
// else the one in the store, for which a key is needed.
func (s *Scheduler) since(ctx context.Context) (io.ReadCloser, error) {
	if err := s.lastIsWhole(ctx); err != nil {
		return nil, err
	}
	f, err := s.openKept(s.last)
	if err == nil {
		return f, nil
	}
	text, inStore := base.ServerManifest(ctx, s.Repo, s.last)
	if errors.Is(inStore, store.ErrNoIdentity) {
		return nil, fmt.Errorf("PostgreSQL's manifest of base backup %s: %w; and the one in the store cannot be opened without identity_file", s.last.ID, err)
	}
	return text, inStore
}

// lastIsWhole is an error if the last base backup, or one that it needs, has lost an object:
// what is taken since would be of no use.
func (s *Scheduler) lastIsWhole(ctx context.Context) error {
	chain, err := base.Chain(ctx, s.Repo, s.last)
	if err != nil {
		return err
	}
	all := make([]base.Manifest, len(chain))
	for i, m := range chain {
		all[i] = *m
	}
	missing, err := base.Missing(ctx, s.Repo, all)
	for id, key := range missing {
		return fmt.Errorf("base backup %s cannot be restored: %q is missing or cut off", id, key)
	}
	return err
}

// keptPath is where PostgreSQL's manifest of the newest base backup is kept.
func (s *Scheduler) keptPath() string {
	return filepath.Join(s.StateDir, url.PathEscape(s.Repo.Cluster)+".backup_manifest")
}

// openKept opens the manifest that was kept, if it is that of a base backup.
func (s *Scheduler) openKept(m *base.Manifest) (*os.File, error) {
	if s.StateDir == "" {
		return nil, errors.New("there is no state_dir to keep it in")
	}
	f, err := os.Open(s.keptPath())
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err == nil && (size != m.BackupManifest.Size || hex.EncodeToString(sum.Sum(nil)) != m.BackupManifest.SHA256) {
		err = fmt.Errorf("%s is of another one", f.Name())
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// keeping has PostgreSQL's manifest of a base backup that is being taken be kept: done is to
// be called when it is there, or is not. Where that fails the base backup is taken all the
// same, and the next one is a full one.
func (s *Scheduler) keeping(o *base.Options) (done func(taken bool)) {
	if s.StateDir == "" || s.Settings().Changes == 0 {
		return func(bool) {}
	}
	f, err := s.makeKept()
	if err != nil {
		s.notKept(err)
		return func(bool) {}
	}
	o.Keep = f
	return func(taken bool) {
		err := f.Close()
		if taken && err == nil {
			err = os.Rename(f.Name(), s.keptPath())
		}
		if !taken || err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
		if err != nil {
			s.notKept(err)
		}
	}
}

func (s *Scheduler) makeKept() (*os.File, error) {
	if err := os.MkdirAll(s.StateDir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(s.keptPath()+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
}

func (s *Scheduler) notKept(err error) {
	s.Log.Warn("what the next incremental base backup is taken by cannot be kept in state_dir", "error", err)
}

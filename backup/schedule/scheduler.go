package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/wal"
)

// Scheduler takes a cluster's base backups while its receiver receives. Its fields are set
// before Run.
type Scheduler struct {
	Repo     *repository.Repository
	URL      func() string // returns replication_url
	BaseURL  func() string // so too, as in Source; nil is ""
	AdminURL func() string // so too
	Receiver *wal.Receiver
	Settings func() Settings // as they are now
	// Seats has room for as many as may be taken at the same time by all schedulers that
	// have it.
	Seats chan struct{}
	// StateDir is where PostgreSQL's manifest of the newest base backup is kept, for the next
	// incremental one; "" is nowhere: then it is read from the store.
	StateDir string
	// Keep, if not nil, is called after each base backup, and once a day: to remove what
	// nobody needs any more.
	Keep func(context.Context) error
	Log  *slog.Logger

	every time.Duration // between two looks, and so on; 0 is the constants

	// Run's own.
	newest *base.Manifest // that has all, when it was looked at thoroughly; nil: never, or there is none
	last   *base.Manifest // the same, but that it may have what has changed only
	unable bool           // the server cannot tell what has changed
	before seen           // then
	looked time.Time      // then; zero: to be done at once
	fresh  bool           // one was taken, and nobody has looked since whether that was enough
	copied time.Time      // when one was taken because of files that were copied
	pause  time.Duration  // after the last failure; 0: there was none since nothing was due
	tidied time.Time

	mu      sync.Mutex
	stats   Stats
	failing time.Time // since when none could be taken at BaseURL; zero: one could
}

// Settings are those of a Scheduler.
type Settings struct {
	Interval time.Duration // between two base backups; 0 is that none is taken because the last is old
	Changes  time.Duration // between one and the next that has what has changed only; 0 is that none is taken
	// Replay is how many bytes of WAL a restore may have to replay: before there are more a base
	// backup is taken, once an hour at most. ReplayWhole is how many it may have to where the
	// last base backup has all, and is not made up of several, which takes time too: it is to
	// have all when that has cost half of them. 0 or less, of ReplayWhole, is any number.
	Replay, ReplayWhole int64
	MaxRate             int // as in base.Options
}

// Stats tells what a Scheduler does.
type Stats struct {
	Why         string        // what the one is for that is being taken, or waits for its turn; "" is that none is
	Since       time.Time     // when that began
	Progress    base.Progress // how far it is; the zero while it waits
	Taken       int           // since the start
	There       bool          // a base backup, as far as is known
	Last        *base.Manifest
	LastError   string // "" after one was taken
	LastErrorAt time.Time
}

const (
	lookPause    = time.Minute      // between two looks
	idlePause    = time.Second      // between two looks whether the receiver receives
	thoroughly   = time.Hour        // between two thorough looks, if nothing happens
	settled      = 5 * time.Second  // after which what was being stored is stored
	firstPause   = 30 * time.Second // after a failure
	longestPause = 15 * time.Minute // where the pauses stop doubling
	tidyPause    = 24 * time.Hour   // between two times of tidying, if none is taken
)

// ReplayPause is the least pause between two base backups because of what a restore would
// replay.
const ReplayPause = time.Hour

// errElsewhere is of a base backup whose WAL another node receives now: it takes the next.
var errElsewhere = errors.New("another node has the replication slot now")

// Stats returns what it does.
func (s *Scheduler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *Scheduler) update(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

// Run takes what is due until the context is done.
func (s *Scheduler) Run(ctx context.Context) {
	for ctx.Err() == nil {
		sleep(ctx, s.turn(ctx))
	}
}

// turn looks once, takes what is due, and returns for how long there is nothing to do.
func (s *Scheduler) turn(ctx context.Context) time.Duration {
	stats := s.Receiver.Stats()
	if !stats.Connected {
		s.looked = time.Time{}
		return idlePause
	}
	now := time.Now()
	thorough := s.looked.IsZero() || s.seenIn(stats) != s.before || now.Sub(s.looked) >= thoroughly
	why, kind, err := s.due(ctx, stats, thorough)
	switch {
	case err == nil && why != "" && s.fresh: // or they would be taken for ever, one after the other
		err = fmt.Errorf("one was taken just now, and another is needed: %s", why)
	case err == nil && why != "" && kind == changes:
		err = s.takeChanges(ctx, why)
	case err == nil && why != "":
		o := base.Options{MaxRate: s.Settings().MaxRate, Spread: kind == aged}
		if kind == aged || s.newest == nil {
			_, err = s.take(ctx, why, o)
		} else { // a standby may begin in front of what it is for
			_, err = s.takeAt(ctx, "", why, o)
		}
	}
	s.fresh = err == nil && why != "" && kind != changes
	if s.fresh && kind == copied {
		s.copied = time.Now()
	}
	switch {
	case ctx.Err() != nil:
		return 0
	case errors.Is(err, errElsewhere):
		s.looked = time.Time{}
		return idlePause
	case err != nil:
		return s.failed(err)
	}
	if why != "" {
		s.looked = time.Time{}
		s.tidy(ctx)
		return s.settled()
	}
	s.pause = 0
	if thorough {
		s.looked, s.before = now, s.seenIn(stats)
	}
	if now.Sub(s.tidied) >= tidyPause {
		s.tidy(ctx)
	}
	return s.quiet(ctx)
}

// quiet waits until it is time to look again, or the receiver tells of something.
func (s *Scheduler) quiet(ctx context.Context) time.Duration {
	for end := time.Now().Add(cmp.Or(s.every, lookPause)); time.Now().Before(end) && ctx.Err() == nil; sleep(ctx, idlePause) {
		if stats := s.Receiver.Stats(); !stats.Connected || s.seenIn(stats) != s.before {
			break
		}
	}
	return 0
}

// due says why one is to be taken; "" is that none is. What was seen in passing only is
// looked at again.
func (s *Scheduler) due(ctx context.Context, stats wal.Stats, thorough bool) (why string, k kind, err error) {
	f, err := s.look(ctx, stats, thorough)
	if err != nil {
		return "", 0, fmt.Errorf("find out whether a base backup is due: %w", err)
	}
	why, k = f.due(time.Now())
	if why != "" && k != changes && (!thorough || f.broken != nil) {
		sleep(ctx, s.settled()) // WAL that was being stored while it was looked for is there then
		if stats = s.Receiver.Stats(); !stats.Connected {
			return "", 0, errElsewhere // perhaps; what was seen is looked for again
		}
		if f, err = s.look(ctx, stats, true); err != nil {
			return "", 0, fmt.Errorf("find out whether a base backup is due: %w", err)
		}
		why, k = f.due(time.Now())
	}
	if k == changes {
		if why, err = s.changed(ctx, why); err != nil {
			return "", 0, fmt.Errorf("find out whether a base backup is due: %w", err)
		}
	}
	return why, k, nil
}

// Now takes a base backup whether one is due or not.
func (s *Scheduler) Now(ctx context.Context, why string) (*base.Manifest, error) {
	if !s.Receiver.Stats().Connected {
		return nil, errors.New("this node does not receive the cluster's WAL, without which a base backup is none")
	}
	return s.take(ctx, why, base.Options{MaxRate: s.Settings().MaxRate})
}

// spares is for how long the primary is spared a base backup that nobody is in a hurry for,
// while none can be taken of the standby.
const spares = time.Hour

func (s *Scheduler) baseURL() string {
	if s.BaseURL == nil {
		return ""
	}
	return s.BaseURL()
}

// take takes a base backup of the standby, if there is one to take it of, else of the
// primary, and there too if that fails.
func (s *Scheduler) take(ctx context.Context, why string, o base.Options) (*base.Manifest, error) {
	url := s.baseURL()
	if url == "" {
		return s.takeAt(ctx, "", why, o)
	}
	m, err := s.takeAt(ctx, url, why, o)
	failed := s.baseFailed(err)
	switch {
	case err == nil || ctx.Err() != nil || errors.Is(err, errElsewhere):
		return m, err
	case o.Spread && failed < spares:
		return nil, fmt.Errorf("at base_url: %w; it is tried there for %s before one is taken at replication_url", err, spares)
	}
	s.Log.Warn("no base backup can be taken at base_url, and one is at replication_url", "error", err)
	return s.takeAt(ctx, "", why, o)
}

// baseFailed is told what came of a base backup at BaseURL, and returns for how long none
// could be taken there.
func (s *Scheduler) baseFailed(err error) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.failing = time.Time{}
		return 0
	case s.failing.IsZero():
		s.failing = time.Now()
	}
	return time.Since(s.failing)
}

// takeAt takes a base backup when it is the cluster's turn. url is as BaseURL.
func (s *Scheduler) takeAt(ctx context.Context, url, why string, o base.Options) (*base.Manifest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go s.guard(ctx, cancel)
	select {
	case s.Seats <- struct{}{}:
		defer func() { <-s.Seats }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s.update(func(st *Stats) { st.Why, st.Since = why, time.Now() })
	defer s.update(func(st *Stats) { st.Why, st.Since, st.Progress = "", time.Time{}, base.Progress{} })
	o.Progress = func(p base.Progress) { s.update(func(st *Stats) { st.Progress = p }) }
	s.Log.Info("a base backup is being taken", "why", why)
	done := s.keeping(&o)
	m, err := Take(ctx, s.Repo, Source{URL: s.URL(), BaseURL: url, AdminURL: s.AdminURL()}, o, s.stored)
	done(err == nil)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause // it is why the connection was cut
		}
		return nil, err
	}
	s.update(func(st *Stats) {
		st.Taken++
		st.Last, st.There, st.LastError = m, true, ""
	})
	if m.ConfigurationMissing != "" {
		s.Log.Warn("a base backup has not all of the configuration that is outside of the data directory", "id", m.ID, "why", m.ConfigurationMissing)
	}
	s.Log.Info("a base backup is taken", "id", m.ID, "since", m.Since, "took", m.Finished.Sub(m.Started).Round(time.Millisecond).String(), "bytes", m.Size, "stored", m.Stored)
	return m, nil
}

// guard has a base backup be given up when another node receives the WAL.
func (s *Scheduler) guard(ctx context.Context, cancel context.CancelCauseFunc) {
	for ctx.Err() == nil {
		if s.Receiver.Stats().Elsewhere {
			cancel(errElsewhere)
		}
		sleep(ctx, idlePause)
	}
}

// stored says whether the receiver has stored all WAL up to a position.
func (s *Scheduler) stored(upTo replication.Position) bool {
	stats := s.Receiver.Stats()
	return stats.Timeline != upTo.Timeline || stats.Durable >= upTo.LSN
}

// tidy removes what is not needed any more.
func (s *Scheduler) tidy(ctx context.Context) {
	s.tidied = time.Now()
	if s.Keep == nil {
		return
	}
	if err := s.Keep(ctx); err != nil && ctx.Err() == nil {
		s.tidied = s.tidied.Add(longestPause - tidyPause)
		s.Log.Warn("what is not needed any more cannot be removed", "error", err)
	}
}

// failed tells of an error and returns for how long nothing is tried.
func (s *Scheduler) failed(err error) time.Duration {
	s.update(func(st *Stats) { st.LastError, st.LastErrorAt = err.Error(), time.Now() })
	s.pause = min(max(2*s.pause, firstPause), longestPause)
	s.looked = time.Time{}
	s.Log.Error("no base backup can be taken", "error", err, "again_in", s.pause.String())
	return s.pause
}

func (s *Scheduler) settled() time.Duration { return cmp.Or(s.every, settled) }

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

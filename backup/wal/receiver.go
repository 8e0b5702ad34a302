package wal

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

// Receiver stores a cluster's WAL as it is written. Its fields are set before Run.
type Receiver struct {
	Repo *repository.Repository
	// URL returns replication_url: one connection string, of a role that may replicate. It
	// may name several hosts, with target_session_attrs=primary.
	URL func() string
	// SampleURL returns admin_url, or replication_url where there is none: by it the primary
	// is asked once a second where it is in the WAL; nil is that nobody asks, and then no time
	// is known to be reachable.
	SampleURL func() string
	// Standbys returns the members on which the slot is kept while they are standbys; the
	// primary may be among them. nil is none.
	Standbys func() []Member
	Slot     string        // "" is "howdah"
	Interval time.Duration // how old a part may get before it is stored; 0 is a second
	Log      *slog.Logger

	patience time.Duration // for how long a server has to wait that stops; 0 is the constant
	keeping  time.Duration // between two looks at standbys; 0 is the constant
	samples  sampler
	keeper   keeper
	usage    usage
	gone     replication.Position // the server has said that it has this no more; Run's own
	tallied  replication.Position // records that begin before it are counted; Run's own

	mu    sync.Mutex
	stats Stats
}

// Stats tells how far a Receiver is.
type Stats struct {
	Connected bool // to the cluster's primary, and receiving
	Elsewhere bool // another node receives: it has the slot
	// LastConnected is when it was Connected last, if it is not now; zero: it never was.
	LastConnected time.Time
	Timeline      uint32
	Received      replication.LSN
	Durable       replication.LSN // all before it is in the store
	// Sampled is the newest time of which it is known that all is in the store that had
	// been committed before it, by the primary's clock.
	Sampled  time.Time
	SlotLost time.Time     // when a slot was found that the server had given up; zero: never
	Slot     SlotState     // as the primary told of it last
	Standbys []StandbySlot // by address
	Gaps     int           // that are recorded
	LastGap  time.Time     // when the last of them was found; the zero is none
	// Copied is where WAL last told that a database was made by copying files; the zero: it has
	// not, since the start. It is recorded: see Copies.
	Copied replication.Position

	Unread int64 // times that something of WAL could not be read, and was counted for no database

	Objects           int64 // stored
	BytesIn, BytesOut int64 // of WAL that was received, and of objects that were stored

	system string // the system identifier of what it receives from

	LastError   string // "" after WAL was stored again
	LastErrorAt time.Time
}

// Stats returns how far it is.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	s := r.stats
	r.mu.Unlock()
	s.Slot, s.Standbys = r.samples.slotState(), r.keeper.all()
	return s
}

func (r *Receiver) update(change func(*Stats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.stats)
}

const (
	firstPause   = time.Second      // before it connects again
	longestPause = 30 * time.Second // where the pauses stop doubling
	otherPause   = 5 * time.Second  // while another node has the slot
	foreignPause = time.Minute      // while there is what only a person can mend
	connectTime  = 30 * time.Second // for connecting, and each command
)

// Run receives until the context is done, whatever happens: what it cannot mend it tells
// in Stats and in the log, and tries again.
func (r *Receiver) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	r.samples.usage = &r.usage
	if r.SampleURL != nil {
		r.samples.told = func(was, is SlotState) { r.waits(was.Waits, is.Waits) }
		r.samples.failed = func(err error) {
			r.Log.Warn("the primary cannot be asked where it is in its WAL: nothing newer can be restored by a time, nor is it known how the slot stands, or how much would be lost; it takes admin_url, or that the role of replication_url may log in to database postgres too",
				"cluster", r.Repo.Cluster, "error", err)
		}
		beside.Go(func() { r.samples.run(ctx, r.SampleURL, r.slot()) })
	}
	if r.Standbys != nil {
		r.keeper.r = r
		beside.Go(func() { r.keeper.run(ctx) })
	}
	again := false
	for pause := firstPause; ctx.Err() == nil; {
		before := r.Stats().Durable
		err := r.session(ctx)
		r.update(func(s *Stats) {
			if s.Connected {
				s.Connected, s.LastConnected = false, time.Now()
			}
		})
		if r.Stats().Durable != before {
			pause = firstPause
		}
		wait := pause
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errAgain) && !again:
			again = true
			continue
		case errors.Is(err, replication.ErrSlotInUse):
			r.update(func(s *Stats) { s.Elsewhere = true })
			wait = otherPause
		case errors.Is(err, repository.ErrForeign), errors.Is(err, ErrConflict):
			r.failed(err)
			wait = foreignPause
		default:
			r.failed(err)
			pause = min(2*pause, longestPause)
		}
		again = false
		sleep(ctx, wait)
	}
	return nil
}

// failed tells of an error, in the log once as long as it stays the same.
func (r *Receiver) failed(err error) {
	text, same := err.Error(), false
	r.update(func(s *Stats) {
		same = s.LastError == text
		s.LastError, s.LastErrorAt, s.Elsewhere = text, time.Now(), false
	})
	if !same {
		r.Log.Error("WAL is not being stored", "cluster", r.Repo.Cluster, "error", text)
	}
}

// waits tells in the log how commits wait for what is stored, when that changes.
func (r *Receiver) waits(was, is Waits) {
	switch {
	case is.Hang() && !was.Hang():
		r.Log.Error("commits wait for ever: synchronous_standby_names has them wait for Howdah, which applies nothing, and synchronous_commit is remote_apply: set it to on, or name standbys only",
			"cluster", r.Repo.Cluster, "whose", is.Applied)
	case is.synchronous() && !was.synchronous():
		r.Log.Info("the cluster's commits wait until their WAL is stored: synchronous_standby_names has it so", "cluster", r.Repo.Cluster)
	case was.synchronous() && !is.synchronous():
		r.Log.Info("the cluster's commits do not wait any more until their WAL is stored", "cluster", r.Repo.Cluster)
	}
}

func (r *Receiver) slot() string { return cmp.Or(r.Slot, "howdah") }

func (r *Receiver) interval() time.Duration {
	if r.Interval <= 0 {
		return time.Second
	}
	return r.Interval
}

// counted returns the repository with a store that counts what is stored.
func (r *Receiver) counted() *repository.Repository {
	counted := *r.Repo
	counted.Store = &counting{r.Repo.Store, r}
	return &counted
}

// counting counts the bytes of objects that are stored.
type counting struct {
	store.Store
	r *Receiver
}

func (c *counting) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	err := c.Store.PutIfAbsent(ctx, key, data, meta)
	if err == nil {
		c.r.update(func(s *Stats) { s.BytesOut += int64(len(data)) })
	}
	return err
}

func (r *Receiver) patient() time.Duration { return cmp.Or(r.patience, patience) }

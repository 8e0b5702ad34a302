package wal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"howdah/backup/replication"
)

const (
	// memoryMost bounds the chunks that are in memory: those that are being stored, and the one
	// that is open. Objects on their way need some more, and what Go has not collected yet as
	// much again: all of Howdah is to stay below 300 MB.
	memoryMost = 64 << 20
	jobsMost   = 3                     // at the same time
	telling    = time.Second           // between two times that it is told what databases have written
	reports    = 5 * time.Second       // between two reports to the server, at the most
	heartbeats = 10 * time.Second      // between two heartbeats
	grace      = 3 * time.Second       // for storing what has come, after the context is done
	patience   = 10 * time.Second      // that a server has to wait that stops
	gathering  = 10 * time.Millisecond // between two reads while all that there is has come, at the most
	silence    = 30 * time.Second      // after which a server is asked whether it is there; after twice that it is not
)

func sumOfWAL(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

// stream receives one timeline. All of it is its goroutine's own, but for what is below mu
// and what a job says.
type stream struct {
	r        *Receiver
	conn     *replication.Conn
	timeline uint32
	size     replication.LSN // of a segment
	chunk    replication.LSN // of a chunk
	parts    []Segment       // that the repository had, from the first segment on

	scanner  *scanner
	received replication.LSN
	live     bool            // nothing more was there when the last of it was sent
	durable  replication.LSN // all before it is stored
	chunks   []*chunk        // the oldest first; what is whole is dropped
	free     [][]byte        // buffers of chunks that are stored
	running  int             // jobs
	jobs     sync.WaitGroup
	asides   sync.WaitGroup // what nothing waits for: deletions, heartbeats
	pending  []Sample       // that are in no chunk yet
	waiting  []Sample       // before which not all is stored yet
	sampled  Sample         // the last before which all is

	heard    time.Time // when the server said something
	reported time.Time
	told     replication.LSN // durable, when it was reported
	asked    time.Time       // since when the server has asked whether the rest is stored
	hurry    bool            // what has come is to be stored at once
	tallied  time.Time       // when it was told what databases have written
	beaten   Sample          // that of the last heartbeat
	beat     time.Time       // when that was
	system   string          // identifier
	conflict error

	mu      sync.Mutex
	results []*job
	wake    context.CancelFunc // ends a wait
}

func newStream(s *session, at replication.Position) *stream {
	size := s.server.Segment
	start, count := at.LSN.SegmentStart(size), at.LSN
	if s.r.tallied.Timeline == at.Timeline {
		count = max(count, s.r.tallied.LSN)
	}
	st := &stream{
		r: s.r, conn: s.conn, timeline: at.Timeline, size: size, chunk: min(size, chunkMost),
		scanner: newScanner(start, count, size), received: start, durable: start, reported: time.Now(), told: start, heard: time.Now(), system: s.server.System,
	}
	if t := s.contents.timeline(at.Timeline); t != nil {
		for _, segment := range t.Segments {
			if segment.Start >= start && !segment.Whole {
				st.parts = append(st.parts, segment)
			}
		}
	}
	s.r.update(func(stats *Stats) {
		stats.Connected, stats.Elsewhere = true, false
		if stats.Timeline != at.Timeline {
			stats.Timeline, stats.Received, stats.Durable = at.Timeline, 0, 0
		}
		stats.Received, stats.Durable = max(stats.Received, at.LSN), max(stats.Durable, at.LSN)
	})
	return st
}

// run receives until the timeline or the connection ends. What has come is stored first,
// however it ends: the server may never come back.
func (s *stream) run(ctx context.Context) (*replication.End, error) {
	storing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer s.asides.Wait()
	defer s.jobs.Wait()
	defer cancel()
	end, err := s.receiveAll(ctx, storing)
	s.tell(time.Now())
	s.r.tallied = replication.Position{LSN: max(s.received, s.scanner.count), Timeline: s.timeline}
	switch {
	case err == nil:
	case err == ctx.Err():
		defer func() { _ = s.conn.Report(s.received, s.durable) }()
	default: // a server that stops must not wait until the store is back
		closing, cancel := context.WithTimeout(storing, time.Second)
		s.conn.Close(closing)
		cancel()
	}
	if drainErr := s.drain(ctx, storing); drainErr != nil && (err == nil || errors.Is(drainErr, ErrConflict)) {
		err = drainErr
	}
	if ctx.Err() == nil {
		s.asides.Wait()
	}
	return end, err
}

// receiveAll receives, and has stored what is due.
func (s *stream) receiveAll(ctx, storing context.Context) (*replication.End, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		now := time.Now()
		s.collect(storing)
		if s.conflict != nil {
			return nil, s.conflict
		}
		s.sample(storing, now)
		if now.Sub(s.tallied) >= telling {
			s.tell(now)
		}
		s.start(storing, now)
		if err := s.report(now); err != nil {
			return nil, err
		}
		w, end, err := s.receive(ctx, now)
		if err != nil || end != nil {
			return end, err
		}
		if w != nil {
			if err := s.take(w); err != nil {
				return nil, err
			}
		}
	}
}

// drain stores all that has come, as long as it takes: the server may be gone. When the
// context is done it has a little time left.
func (s *stream) drain(ctx, storing context.Context) error {
	giveUp := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(grace, func() { close(giveUp) })
	})()
	for {
		s.hurry = true
		s.collect(storing)
		s.start(storing, time.Now())
		switch {
		case s.conflict != nil:
			return s.conflict
		case s.running == 0 && s.allStored():
			return nil
		}
		waiting, cancel := context.WithTimeout(storing, 100*time.Millisecond)
		s.wait(waiting, cancel)
		cancel()
		select {
		case <-giveUp:
			return ctx.Err()
		default:
		}
	}
}

// allStored says whether nothing is left to be stored. Parts from before that go farther
// than what has come are none of it.
func (s *stream) allStored() bool {
	for _, c := range s.chunks {
		if len(c.old) > 0 && c.from+replication.LSN(len(c.buffer)) < c.old[len(c.old)-1].To {
			continue
		}
		if len(c.buffer) > c.stored || c.full() && !c.whole {
			return false
		}
	}
	return true
}

// wait waits until a job is done or the context is.
func (s *stream) wait(ctx context.Context, cancel context.CancelFunc) {
	s.mu.Lock()
	s.wake = cancel
	done := len(s.results) > 0
	s.mu.Unlock()
	if !done {
		<-ctx.Done()
	}
}

// receive waits for a message from the server: until something else is to be done at the
// most. If there is no room for WAL it only waits.
func (s *stream) receive(ctx context.Context, now time.Time) (*replication.WAL, *replication.End, error) {
	waiting, cancel := context.WithDeadline(ctx, s.due(now))
	defer cancel()
	if !s.room() {
		s.heard = now
		s.wait(waiting, cancel)
		return nil, nil, nil
	}
	s.mu.Lock()
	s.wake = cancel
	done := len(s.results) > 0
	s.mu.Unlock()
	if done {
		return nil, nil, nil
	}
	s.gather()
	w, end, err := s.conn.Receive(waiting)
	if err != nil && waiting.Err() != nil && (replication.Timeout(err) || errors.Is(err, waiting.Err())) {
		return nil, nil, ctx.Err() // time is up, or a job is done
	}
	s.heard = now
	if err == nil && w == nil && end == nil {
		return nil, nil, s.keepalive(now)
	}
	return w, end, err
}

// gather lets some commits come together: the server sends each alone, and to be woken up
// for each costs more than to store it.
func (s *stream) gather() {
	if s.live && !s.conn.Buffered() {
		time.Sleep(min(gathering, s.r.interval()/10))
	}
}

// keepalive answers a server that asks whether somebody is there. It asks on and on while
// it stops: until all is stored, or for ever if the store is away.
func (s *stream) keepalive(now time.Time) error {
	if s.durable < s.received {
		s.hurry = true
		if s.asked.IsZero() {
			s.asked = now
		}
		if now.Sub(s.asked) > s.r.patient() {
			return errStopped
		}
	}
	s.reported = time.Time{}
	return nil
}

// due is when something is to be done, whatever comes.
func (s *stream) due(now time.Time) time.Time {
	due := now.Add(time.Second)
	for _, c := range s.chunks {
		if c.busy || c.since.IsZero() {
			continue
		}
		at := c.since.Add(s.r.interval())
		if at.Before(c.retry) {
			at = c.retry
		}
		if at.After(now) && at.Before(due) {
			due = at
		}
	}
	return due
}

// room says whether more may be received.
func (s *stream) room() bool {
	return len(s.chunks) == 0 || !s.chunks[len(s.chunks)-1].full() ||
		len(s.chunks) < max(2, int(memoryMost/s.chunk))
}

// take takes WAL that has come.
func (s *stream) take(w *replication.WAL) error {
	if w.Start != s.received {
		return fmt.Errorf("the server sends WAL from %s, not from %s", w.Start, s.received)
	}
	now, data := time.Now(), w.Data
	for len(data) > 0 {
		c := s.open()
		n := min(len(data), int(c.to-c.from)-len(c.buffer))
		c.buffer = append(c.buffer, data[:n]...)
		s.scanner.scan(data[:n])
		c.copies = append(c.copies, s.scanner.copies...)
		s.scanner.copies = s.scanner.copies[:0]
		if c.since.IsZero() {
			c.since = now
		}
		data = data[n:]
		s.received += replication.LSN(n)
	}
	s.asked = time.Time{}
	s.live = w.End <= s.received
	s.r.update(func(stats *Stats) {
		stats.BytesIn += int64(len(w.Data))
		stats.Received = max(stats.Received, s.received)
	})
	return nil
}

// open returns the chunk that takes what comes next.
func (s *stream) open() *chunk {
	if n := len(s.chunks); n > 0 && !s.chunks[n-1].full() {
		return s.chunks[n-1]
	}
	segment := s.received.SegmentStart(s.size)
	c := &chunk{timeline: s.timeline, segment: segment, size: s.size, from: s.received - segment}
	c.to = c.from + s.chunk
	if n := len(s.free); n > 0 {
		c.buffer, s.free = s.free[n-1][:0], s.free[:n-1]
	} else {
		c.buffer = make([]byte, 0, s.chunk)
	}
	for _, old := range s.parts {
		for _, p := range old.Parts {
			// A whole chunk that is stored already is met when it is stored again.
			if old.Start == segment && p.From >= c.from && p.To <= c.to && p != (Span{c.from, c.to}) {
				c.old = append(c.old, p)
			}
		}
	}
	slices.SortFunc(c.old, func(a, b Span) int { return int(int64(a.To) - int64(b.To)) })
	s.chunks = append(s.chunks, c)
	return c
}

// start starts the jobs that are due, the oldest chunk's first.
func (s *stream) start(storing context.Context, now time.Time) {
	for _, c := range s.chunks {
		if s.running >= jobsMost {
			return
		}
		j := c.next(now, s.r.interval(), s.hurry)
		if j == nil {
			continue
		}
		c.busy = true
		if j.put.To > 0 {
			c.since = time.Time{}
		}
		s.running++
		s.jobs.Go(func() {
			j.run(storing, s.r.counted())
			s.mu.Lock()
			defer s.mu.Unlock()
			s.results = append(s.results, j)
			if s.wake != nil {
				s.wake()
			}
		})
	}
}

// collect takes what jobs have done.
func (s *stream) collect(storing context.Context) {
	s.mu.Lock()
	results := s.results
	s.results = nil
	s.mu.Unlock()
	for _, j := range results {
		s.running--
		obsolete := j.chunk.took(j)
		if j.err == nil {
			s.copied(j.copies)
		}
		switch {
		case errors.Is(j.err, ErrConflict):
			s.conflict = j.err
		case j.err != nil:
			s.r.failed(j.err)
		case j.put.To > 0:
			s.r.update(func(stats *Stats) {
				stats.Objects++
				stats.LastError = ""
			})
		}
		if len(obsolete) > 0 {
			s.asides.Go(func() { s.forget(storing, j.chunk, obsolete) })
		}
	}
	if len(results) > 0 {
		s.advance()
	}
}

// tell tells what databases have written.
func (s *stream) tell(now time.Time) {
	s.tallied = now
	s.r.usage.add(&s.scanner.bytes, now)
	s.r.update(func(stats *Stats) { stats.Unread += s.scanner.skipped })
	s.scanner.skipped = 0
}

// copied tells of databases that were copied, which is recorded now.
func (s *stream) copied(copies []fileCopy) {
	for _, f := range copies {
		s.r.Log.Info("a database was made by copying another's files: a restore of it from a base backup of before needs both", "cluster", s.r.Repo.Cluster, "oid", f.oid, "source", f.source, "at", f.lsn.String())
		s.r.update(func(stats *Stats) { stats.Copied = replication.Position{LSN: f.lsn, Timeline: s.timeline} })
	}
}

// forget deletes parts that a larger object has taken the place of. What stays because of
// an error is deleted when the next session begins.
func (s *stream) forget(storing context.Context, c *chunk, obsolete []Span) {
	for _, p := range obsolete {
		if err := s.r.Repo.Store.Delete(storing, s.r.Repo.Key(c.key(p))); err != nil {
			s.r.Log.Warn("a part of WAL that is stored twice cannot be deleted", "cluster", s.r.Repo.Cluster, "object", c.key(p), "error", err)
			return
		}
	}
}

// advance moves on to where all is stored, and drops chunks that are.
func (s *stream) advance() {
	for len(s.chunks) > 0 && s.chunks[0].from+s.chunks[0].segment <= s.durable {
		c := s.chunks[0]
		s.durable = max(s.durable, c.end())
		if !c.whole {
			break
		}
		s.free = append(s.free, c.buffer)
		s.chunks = s.chunks[1:]
	}
	if s.live { // else all are wanted again at once
		s.free = s.free[:min(len(s.free), 1)]
	}
	if s.durable >= s.received {
		s.hurry = false
	}
	s.r.update(func(stats *Stats) { stats.Durable = max(stats.Durable, s.durable) })
}

// sample takes samples: into the chunk that is open, once it reaches that far, and for the
// time before which all is stored. Now and then that is stored too.
func (s *stream) sample(storing context.Context, now time.Time) {
	for _, sample := range s.r.samples.take(s.system, s.timeline) {
		s.pending, _ = add(s.pending, sample)
		s.waiting, _ = add(s.waiting, sample)
	}
	if n := len(s.chunks); n > 0 && !s.chunks[n-1].full() {
		for c := s.chunks[n-1]; len(s.pending) > 0 && s.pending[0].LSN <= s.received; s.pending = s.pending[1:] {
			c.samples, _ = add(c.samples, s.pending[0])
		}
	}
	for len(s.waiting) > 0 && s.waiting[0].LSN <= s.durable {
		s.sampled, s.waiting = s.waiting[0], s.waiting[1:]
	}
	if s.sampled.Time.IsZero() {
		return
	}
	s.r.update(func(stats *Stats) { stats.Sampled = s.sampled.Time })
	if now.Sub(s.beat) < heartbeats || !s.sampled.Time.After(s.beaten.Time) {
		return
	}
	s.beat, s.beaten = now, s.sampled
	h := heartbeat{Timeline: s.timeline, LSN: s.sampled.LSN, Time: s.sampled.Time}
	s.asides.Go(func() {
		if err := putHeartbeat(storing, s.r.Repo, h); err != nil {
			s.r.Log.Warn("the heartbeat cannot be stored", "cluster", s.r.Repo.Cluster, "error", err)
		}
	})
}

// report tells the server what is stored, at once when it is more than before.
func (s *stream) report(now time.Time) error {
	if s.durable == s.told && now.Sub(s.reported) < reports {
		return nil
	}
	s.reported, s.told = now, s.durable
	switch quiet := now.Sub(s.heard); {
	case quiet > 2*silence:
		return fmt.Errorf("the server has said nothing for %v", quiet.Round(time.Second))
	case quiet > silence:
		return s.conn.Ask(s.received, s.durable)
	}
	return s.conn.Report(s.received, s.durable)
}

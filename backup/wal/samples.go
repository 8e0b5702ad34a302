package wal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

// Sample is what the primary said at a time: whatever it had committed before Time is in
// front of LSN.
type Sample struct {
	LSN  replication.LSN
	Time time.Time
}

const (
	samplesMeta = "samples" // metadata of an object with WAL
	mostSamples = 60        // that go with an object: metadata has room for no more
)

// add adds a sample, and says whether it is of any use: it must not be older than the last
// one, as it would be after a clock was set back.
func add(samples []Sample, s Sample) ([]Sample, bool) {
	if n := len(samples); n > 0 {
		switch last := &samples[n-1]; {
		case !s.Time.After(last.Time) || s.LSN < last.LSN:
			return samples, false
		case s.LSN == last.LSN: // nothing was written: it stands for the one before too
			last.Time = s.Time
			return samples, true
		}
	}
	return append(samples, s), true
}

// thin leaves as many as go with an object: the last one, and others evenly. One that is
// left out is stood for by the one after it.
func thin(samples []Sample) []Sample {
	for len(samples) > mostSamples {
		var half []Sample
		for i, s := range samples {
			if (len(samples)-1-i)%2 == 0 {
				half = append(half, s)
			}
		}
		samples = half
	}
	return samples
}

// encodeSamples makes metadata of samples; nil if there are none.
func encodeSamples(samples []Sample) map[string]string {
	var texts []string
	for _, s := range thin(samples) {
		texts = append(texts, fmt.Sprintf("%s@%x", s.LSN, s.Time.UnixMilli()))
	}
	if texts == nil {
		return nil
	}
	return map[string]string{samplesMeta: strings.Join(texts, ",")}
}

func parseSamples(text string) (samples []Sample, err error) {
	if text == "" {
		return nil, nil
	}
	for one := range strings.SplitSeq(text, ",") {
		lsn, at, _ := strings.Cut(one, "@")
		s := Sample{}
		if s.LSN, err = replication.ParseLSN(lsn); err != nil {
			return nil, err
		}
		ms, err := strconv.ParseInt(at, 16, 64)
		if err != nil {
			return nil, fmt.Errorf("%.40q is no time of a sample", at)
		}
		s.Time = time.UnixMilli(ms).UTC()
		if n := len(samples); n > 0 && (s.LSN < samples[n-1].LSN || s.Time.Before(samples[n-1].Time)) {
			return nil, errors.New("samples are out of order")
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// heartbeat is the newest sample up to which all WAL was stored. It is replaced every few
// seconds, for a night in which nothing is written stores nothing else.
type heartbeat struct {
	Timeline uint32          `json:"timeline"`
	LSN      replication.LSN `json:"lsn"`
	Time     time.Time       `json:"time"`
}

const (
	heartbeatKey  = "heartbeat"
	heartbeatMost = 4 << 10
)

func putHeartbeat(ctx context.Context, r *repository.Repository, h heartbeat) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return r.Store.Put(ctx, r.Key(heartbeatKey), text, store.WithSum(text))
}

// readHeartbeat returns the zero if there is none.
func readHeartbeat(ctx context.Context, r *repository.Repository) (h heartbeat, err error) {
	text, err := readPlain(ctx, r, heartbeatKey, heartbeatMost)
	if errors.Is(err, store.ErrNotFound) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("%w: object %q", store.ErrDamaged, r.Key(heartbeatKey))
	}
	return h, nil
}

// StoredUntil returns the newest sample up to which all WAL was stored, a few seconds ago at
// the most where somebody receives, and on which timeline that is; the zero if none is known.
func StoredUntil(ctx context.Context, r *repository.Repository) (Sample, uint32, error) {
	h, err := readHeartbeat(ctx, r)
	return Sample{h.LSN, h.Time}, h.Timeline, err
}

// SampledBefore returns the newest sample that is not behind a position; the zero if none
// is known.
func (c *Contents) SampledBefore(ctx context.Context, r *repository.Repository, p replication.Position) (newest Sample, err error) {
	legs, err := c.Path(p.Timeline)
	if err != nil {
		return newest, err
	}
	legs = slices.Clone(legs)
	legs[len(legs)-1].End = p.LSN
	s := &sampled{c: c, r: r}
	for _, key := range slices.Backward(c.keys(legs)) {
		samples, err := s.read(ctx, key)
		if err != nil {
			return newest, err
		}
		if n := len(samples); n > 0 {
			return samples[n-1], nil
		}
	}
	return newest, nil
}

// TargetOf returns a position that all lies in front of that was committed before a time,
// on the way to c.Timeline: the first that the primary is known to have reached after it.
// reachable is false if none is known: the time is later than what is stored.
//
// Positions are known once a second at most, and are rarer where little was written. So
// the position is no target for a restore to that time, unless nothing was committed
// between the time and the position.
func (c *Contents) TargetOf(ctx context.Context, r *repository.Repository, t time.Time) (lsn replication.LSN, reachable bool, err error) {
	legs, err := c.Path(c.Timeline)
	if err != nil {
		return 0, false, err
	}
	s := &sampled{c: c, r: r, keys: c.keys(legs), cache: map[int][]Sample{}}
	for low, high := 0, len(s.keys); low < high; {
		middle := (low + high) / 2
		at, samples, err := s.from(ctx, middle)
		if err != nil {
			return 0, false, err
		}
		if samples == nil || samples[len(samples)-1].Time.After(t) {
			high = middle
		} else {
			low = at + 1
		}
		for _, sample := range samples {
			if sample.Time.After(t) {
				lsn, reachable = sample.LSN, true
				break
			}
		}
	}
	if reachable {
		return lsn, true, nil
	}
	h, err := readHeartbeat(ctx, r)
	if err != nil || !h.Time.After(t) || !slices.ContainsFunc(legs, func(l Leg) bool { return l.Timeline == h.Timeline && (l.End == 0 || h.LSN <= l.End) }) {
		return 0, false, err
	}
	return h.LSN, true, nil
}

// sampled looks for samples in the metadata of objects, of which lists tell nothing.
type sampled struct {
	c     *Contents
	r     *repository.Repository
	keys  []sampledKey
	cache map[int][]Sample
}

// sampledKey is an object on a way, and where the way leaves its timeline.
type sampledKey struct {
	key string
	end replication.LSN
}

// keys returns the objects on a way, in order.
func (c *Contents) keys(legs []Leg) (keys []sampledKey) {
	size := c.Identity.Segment
	for _, l := range legs {
		t := c.timeline(l.Timeline)
		if t == nil {
			continue
		}
		for i := range t.Segments {
			s := &t.Segments[i]
			if s.Start < l.Begin.SegmentStart(size) || l.End != 0 && s.Start >= l.End {
				continue
			}
			if s.Whole {
				keys = append(keys, sampledKey{segmentKey(l.Timeline, s.Start, size), l.End})
				continue
			}
			for _, p := range s.chain() {
				keys = append(keys, sampledKey{partKey(l.Timeline, s.Start, size, p), l.End})
			}
		}
	}
	return keys
}

// from returns the samples of the first object that has any, from one on.
func (s *sampled) from(ctx context.Context, i int) (int, []Sample, error) {
	for ; i < len(s.keys); i++ {
		samples, known := s.cache[i]
		if !known {
			var err error
			if samples, err = s.read(ctx, s.keys[i]); err != nil {
				return 0, nil, err
			}
			s.cache[i] = samples
		}
		if len(samples) > 0 {
			return i, samples, nil
		}
	}
	return i, nil, nil
}

// read returns the samples of an object that are on the way.
func (s *sampled) read(ctx context.Context, k sampledKey) ([]Sample, error) {
	key := s.r.Key(k.key)
	info, err := s.r.Store.Stat(ctx, key)
	if errors.Is(err, store.ErrNotFound) { // folded since
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	samples, err := parseSamples(info.Meta[samplesMeta])
	if err != nil {
		return nil, fmt.Errorf("%w: object %q: %w", store.ErrDamaged, key, err)
	}
	for len(samples) > 0 && k.end != 0 && samples[len(samples)-1].LSN > k.end {
		samples = samples[:len(samples)-1]
	}
	return samples, nil
}

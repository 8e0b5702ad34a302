package wal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

// Fetch writes a file of the WAL as a restore_command is asked for it: a history file, or
// a segment. Where a segment is not complete, what there is of it is filled with zeros up
// to its size: PostgreSQL then recovers up to its last whole record. ErrAbsent is that
// nothing of the file is stored; any other error is trouble, and then nothing was written:
// all that is written was checked before. What was stored after List is found too.
func (c *Contents) Fetch(ctx context.Context, r *repository.Repository, name string, into io.Writer) error {
	if timeline, ok := strings.CutSuffix(name, ".history"); ok {
		return c.fetchHistory(ctx, r, timeline, into)
	}
	if partialForm.MatchString(name) { // what was in it is a part of the segment
		return ErrAbsent
	}
	if labelForm.MatchString(name) {
		return fetchLabel(ctx, r, name, into)
	}
	f, err := c.fetch(ctx, r, name)
	if err != nil {
		return err
	}
	return f.give(into)
}

// Fetch is Contents.Fetch for one file. Only where it is a segment that is not whole, or not
// there, all that is stored is listed: what another timeline has of it counts then.
func Fetch(ctx context.Context, r *repository.Repository, name string, into io.Writer) error {
	identity, err := r.Identity(ctx)
	if err != nil {
		return err
	}
	c := &Contents{Identity: identity}
	if timeline, start, err := replication.ParseSegment(name, identity.Segment); err == nil {
		s, err := look(ctx, r, timeline, start, identity.Segment)
		if err != nil {
			return err
		}
		if !s.Whole {
			c, err = List(ctx, r)
		} else {
			t := &Timeline{ID: timeline}
			c.Timelines = []*Timeline{t}
			t.Legs, err = readHistory(ctx, r, timeline)
			if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) { // as List has it
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	return c.Fetch(ctx, r, name, into)
}

// fetchedSegment is one that was read, and checked.
type fetchedSegment struct {
	*spool
	until int64 // what is behind is not to be given
	final bool  // it will never change
}

// give writes it, once.
func (f *fetchedSegment) give(into io.Writer) error {
	defer f.close()
	return f.writeTo(into, f.until)
}

// fetch reads a segment. Who gets it gives it, or closes it.
func (c *Contents) fetch(ctx context.Context, r *repository.Repository, name string) (*fetchedSegment, error) {
	size := c.Identity.Segment
	timeline, start, err := replication.ParseSegment(name, size)
	if err != nil || timeline == 0 {
		return nil, fmt.Errorf("%.80q is no file of WAL with segments of %d bytes", name, size)
	}
	until, err := c.until(timeline, start)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		f, err := c.fetchSegment(ctx, r, timeline, start)
		switch {
		case err == nil:
			f.until = int64(until - start)
			return f, nil
		case errors.Is(err, store.ErrNotFound) && try < 3: // a part was folded into a larger one since it was listed
			continue
		}
		return nil, err
	}
}

func (c *Contents) fetchSegment(ctx context.Context, r *repository.Repository, timeline uint32, start replication.LSN) (*fetchedSegment, error) {
	size := c.Identity.Segment
	s, err := look(ctx, r, timeline, start, size)
	if err != nil {
		return nil, err
	}
	end := s.end(size)
	begin := c.timeline(timeline).begin()
	if end == start || end <= begin && start < begin || end < start+size && c.completeLater(timeline, start) {
		return nil, ErrAbsent
	}
	f := &fetchedSegment{spool: &spool{size: int64(size)}, final: end == start+size}
	err = s.read(ctx, r, timeline, size, f.spool)
	if err == nil {
		err = c.checkHeader(f.spool, timeline, start)
	}
	if err != nil {
		f.close()
		return nil, fmt.Errorf("fetch %s: %w", replication.SegmentName(timeline, start, size), err)
	}
	return f, nil
}

// until returns up to where a segment may be fetched: the way to the timeline that is
// restored to may leave its timeline.
func (c *Contents) until(timeline uint32, start replication.LSN) (replication.LSN, error) {
	end := start + c.Identity.Segment
	if c.Timeline == 0 {
		return end, nil
	}
	legs, err := c.Path(c.Timeline)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(legs, func(l Leg) bool { return l.Timeline == timeline })
	switch {
	case i < 0 || legs[i].End != 0 && start >= legs[i].End || end <= legs[i].Begin:
		return 0, ErrAbsent
	case legs[i].End != 0:
		end = min(end, legs[i].End)
	}
	return end, nil
}

// completeLater says whether the segment is complete on a timeline to which the way goes
// on from this one.
func (c *Contents) completeLater(timeline uint32, start replication.LSN) bool {
	legs, err := c.Path(c.Timeline)
	if err != nil {
		return false
	}
	i := slices.IndexFunc(legs, func(l Leg) bool { return l.Timeline == timeline })
	if i < 0 {
		return false
	}
	size := c.Identity.Segment
	for _, l := range legs[i+1:] {
		if s := c.timeline(l.Timeline).segment(start); s != nil && l.Begin.SegmentStart(size) <= start && s.end(size) == start+size {
			return true
		}
	}
	return false
}

// look lists what there is of one segment now.
func look(ctx context.Context, r *repository.Repository, timeline uint32, start, size replication.LSN) (*Segment, error) {
	t := Timeline{Segments: []Segment{{Start: start}}}
	base := r.Key("wal") + "/"
	for info, err := range r.Store.List(ctx, r.Key(segmentKey(timeline, start, size))) {
		if err != nil {
			return nil, fmt.Errorf("look for %s: %w", replication.SegmentName(timeline, start, size), err)
		}
		o, err := parseKey(strings.TrimPrefix(info.Key, base), size)
		if err == nil && o.timeline == timeline && o.start == start {
			t.add(o, info)
		}
	}
	return &t.Segments[0], nil
}

// read reads what there is of a segment: the whole one, or as few parts as reach its end.
func (s *Segment) read(ctx context.Context, r *repository.Repository, timeline uint32, size replication.LSN, into *spool) error {
	if s.Whole {
		return readPart(ctx, r, segmentKey(timeline, s.Start, size), Span{0, size}, into)
	}
	for _, p := range s.chain() {
		err := readPart(ctx, r, partKey(timeline, s.Start, size, p), p, into)
		if err != nil {
			return err
		}
	}
	return nil
}

// chain returns parts that reach, one after the other, as far as the segment is there:
// always the one that goes farthest.
func (s *Segment) chain() (chain []Span) {
	parts := slices.SortedFunc(slices.Values(s.Parts), byPosition)
	for at := replication.LSN(0); ; {
		best := Span{}
		for _, p := range parts {
			if p.From <= at && p.To > max(at, best.To) {
				best = p
			}
		}
		if best.To == 0 {
			return chain
		}
		chain, at = append(chain, best), best.To
	}
}

// readPart reads an object's plaintext to its place in the segment. Where something is
// already it must be the same.
func readPart(ctx context.Context, r *repository.Repository, key string, span Span, into *spool) error {
	key = r.Key(key)
	body, _, err := r.Sealer.Open(ctx, r.Store, key)
	if err != nil {
		return err
	}
	defer body.Close()
	at, end := int64(span.From), int64(span.To)
	for buffer := make([]byte, 256<<10); ; {
		n, err := body.Read(buffer)
		if at+int64(n) > end {
			return fmt.Errorf("%w: object %q is longer than its name says", store.ErrDamaged, key)
		}
		if err := into.writeAt(buffer[:n], at); err != nil {
			return fmt.Errorf("object %q: %w", key, err)
		}
		at += int64(n)
		if err == io.EOF && at < end {
			return fmt.Errorf("%w: object %q is shorter than its name says", store.ErrDamaged, key)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// The long header in front of every segment (access/xlog_internal.h): magic number, flags,
// timeline, the page's position, the rest of a record, system identifier, sizes of segment
// and page. Numbers are in the server's byte order, which is nearly always this one.
const longHeader = 40

// checkHeader compares what a segment says of itself with what it is taken for: a sum
// shows that an object is whole, not that it is the one that belongs there.
func (c *Contents) checkHeader(s *spool, timeline uint32, start replication.LSN) error {
	h := make([]byte, longHeader)
	if _, err := s.readAt(h, 0); err != nil {
		return err
	}
	if s.end < longHeader || h[1] != 0xD0 && h[1] != 0xD1 { // no page of a server with this byte order
		return nil
	}
	begin := binary.LittleEndian.Uint32(h[4:])
	at := replication.LSN(binary.LittleEndian.Uint64(h[8:]))
	system := strconv.FormatUint(binary.LittleEndian.Uint64(h[24:]), 10)
	switch {
	case at != start:
		return fmt.Errorf("%w: it says of itself that it begins at %s, not at %s", store.ErrDamaged, at, start)
	case begin > timeline: // less is no wonder: where a timeline begins in it
		return fmt.Errorf("%w: it says of itself that it is of timeline %d", store.ErrDamaged, begin)
	case system != c.Identity.System:
		return fmt.Errorf("%w: it says of itself that it is of the system %s, not %s", store.ErrDamaged, system, c.Identity.System)
	}
	return nil
}

// fetchLabel writes what an archive_command has archived beside WAL.
func fetchLabel(ctx context.Context, r *repository.Repository, name string, into io.Writer) error {
	text, err := readPlain(ctx, r, labelKey(name), gapMost)
	if errors.Is(err, store.ErrNotFound) {
		return ErrAbsent
	}
	if err != nil {
		return err
	}
	_, err = into.Write(text)
	return err
}

func (c *Contents) fetchHistory(ctx context.Context, r *repository.Repository, name string, into io.Writer) error {
	timeline, err := parseTimeline(name)
	if err != nil {
		return err
	}
	if c.Timeline != 0 { // what leads elsewhere is none of PostgreSQL's business
		legs, err := c.Path(c.Timeline)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(legs, func(l Leg) bool { return l.Timeline == timeline }) {
			return ErrAbsent
		}
	}
	text, err := readPlain(ctx, r, historyKey(timeline), historyMost)
	if errors.Is(err, store.ErrNotFound) {
		return ErrAbsent
	}
	if err == nil {
		_, err = io.Copy(into, bytes.NewReader(text))
	}
	return err
}

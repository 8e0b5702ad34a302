package wal

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

// ErrNotWAL is of a file that archive_command would not be asked to archive, or not as it is.
var ErrNotWAL = errors.New("wal: it is not stored as it is")

// Archived is a file of a server's pg_wal that is to be stored.
type Archived struct {
	Name string
	Size int64
	// Server is whose it is: of a segment it is what that says of itself, and of another
	// file what a segment beside it does. Only System, Major and Segment are known.
	Server replication.Server
}

// Archive stores what an archive_command is asked to. It may be used by many at once.
type Archive struct {
	Repo *repository.Repository

	mu      sync.Mutex
	claimed map[replication.Server]*repository.Identity
}

// Push stores a file, and returns when it is durable. What is stored already, with the same
// contents, is no error; with other contents it is ErrConflict.
func (a *Archive) Push(ctx context.Context, f Archived, data io.ReaderAt) error {
	if err := a.push(ctx, f, data); err != nil {
		return fmt.Errorf("store %.60q: %w", f.Name, err)
	}
	return nil
}

func (a *Archive) push(ctx context.Context, f Archived, data io.ReaderAt) error {
	kind, timeline, err := f.kind()
	if err != nil {
		return err
	}
	identity, err := a.claim(ctx, f.Server)
	if err != nil {
		return err
	}
	switch kind {
	case historyFile:
		return a.pushHistory(ctx, timeline, f, data)
	case labelFile:
		text, err := readAll(data, f.Size, gapMost)
		if err != nil {
			return err
		}
		return putPlain(ctx, a.Repo, labelKey(f.Name), text)
	}
	start, err := f.checkSegment(identity, data)
	if err != nil {
		return err
	}
	size := identity.Segment
	if kind == partialFile {
		return a.pushPartial(ctx, timeline, start, size, data)
	}
	return a.pushSpan(ctx, timeline, start, size, Span{0, size}, data)
}

// The kinds of files that archive_command is asked to archive.
type archivedKind int

const (
	segmentFile archivedKind = iota
	partialFile              // the last segment of a timeline, of which nobody has written the rest
	historyFile
	labelFile // what a base backup by PostgreSQL's own functions leaves
)

var (
	partialForm = regexp.MustCompile(`^[0-9A-F]{24}\.partial$`)
	labelForm   = regexp.MustCompile(`^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$`)
	segmentForm = regexp.MustCompile(`^[0-9A-F]{24}$`)
)

// labelKey is where a backup's label is.
func labelKey(name string) string { return "archive/" + name }

func (f *Archived) kind() (kind archivedKind, timeline uint32, err error) {
	switch {
	case segmentForm.MatchString(f.Name):
	case partialForm.MatchString(f.Name):
		kind = partialFile
	case labelForm.MatchString(f.Name):
		kind = labelFile
	case strings.HasSuffix(f.Name, ".history") && len(f.Name) == 16:
		kind = historyFile
	default:
		return 0, 0, fmt.Errorf("%w: that is no name of a file that PostgreSQL archives", ErrNotWAL)
	}
	if timeline, err = parseTimeline(f.Name[:8]); err != nil {
		err = fmt.Errorf("%w: %w", ErrNotWAL, err)
	}
	return kind, timeline, err
}

// claim sees to it that the repository is the server's, once.
func (a *Archive) claim(ctx context.Context, s replication.Server) (*repository.Identity, error) {
	a.mu.Lock()
	i := a.claimed[s]
	a.mu.Unlock()
	if i != nil {
		return i, nil
	}
	if s.System == "" || s.Major < replication.Oldest || s.Segment == 0 {
		return nil, fmt.Errorf("%w: nothing beside it says of which server it is", ErrNotWAL)
	}
	i, err := a.Repo.Claim(ctx, s)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.claimed == nil {
		a.claimed = map[replication.Server]*repository.Identity{}
	}
	a.claimed[s] = i
	return i, nil
}

func (a *Archive) pushHistory(ctx context.Context, timeline uint32, f Archived, data io.ReaderAt) error {
	text, err := readAll(data, f.Size, historyMost)
	if err != nil {
		return err
	}
	if _, err := ParseHistory(timeline, text); err != nil {
		return fmt.Errorf("%w: %w", ErrNotWAL, err)
	}
	return putPlain(ctx, a.Repo, historyKey(timeline), text)
}

// readAll reads a small file.
func readAll(data io.ReaderAt, size, most int64) ([]byte, error) {
	if size <= 0 || size > most {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrNotWAL, size)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(data, 0, size), text); err != nil {
		return nil, err
	}
	return text, nil
}

// checkSegment compares what a segment says of itself with its name, its size and the
// repository it goes to, and returns where it starts.
func (f *Archived) checkSegment(identity *repository.Identity, data io.ReaderAt) (replication.LSN, error) {
	h, err := readHeader(data)
	if err != nil {
		return 0, err
	}
	timeline, start, err := replication.ParseSegment(f.Name[:24], identity.Segment)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", ErrNotWAL, err)
	case h.system != identity.System:
		return 0, fmt.Errorf("%w: it is of the system %s, and what is stored of cluster %q is of %s", repository.ErrForeign, h.system, identity.Cluster, identity.System)
	case h.segment != identity.Segment:
		return 0, fmt.Errorf("%w: it is of segments of %d bytes, and what is stored is of %d", repository.ErrForeign, h.segment, identity.Segment)
	case f.Size != int64(identity.Segment):
		return 0, fmt.Errorf("%w: it has %d bytes, and a segment has %d: it was cut off", ErrNotWAL, f.Size, identity.Segment)
	case h.at != start || h.timeline > timeline:
		return 0, fmt.Errorf("%w: it says of itself that it begins at %s, on timeline %d", ErrNotWAL, h.at, h.timeline)
	}
	return start, nil
}

// header is what the first page of a segment says of it: see longHeader.
type header struct {
	timeline uint32
	at       replication.LSN
	system   string
	segment  replication.LSN
}

const longHeaderFlag = 2 // of the page's flags

func readHeader(data io.ReaderAt) (h header, err error) {
	b := make([]byte, longHeader)
	if _, err := io.ReadFull(io.NewSectionReader(data, 0, longHeader), b); err != nil {
		return h, fmt.Errorf("%w: it has no first page", ErrNotWAL)
	}
	if b[1] != 0xD0 && b[1] != 0xD1 || binary.LittleEndian.Uint16(b[2:])&longHeaderFlag == 0 {
		return h, fmt.Errorf("%w: it does not begin as WAL does", ErrNotWAL)
	}
	h.timeline = binary.LittleEndian.Uint32(b[4:])
	h.at = replication.LSN(binary.LittleEndian.Uint64(b[8:]))
	h.system = strconv.FormatUint(binary.LittleEndian.Uint64(b[24:]), 10)
	h.segment = replication.LSN(binary.LittleEndian.Uint32(b[32:]))
	if n := h.segment; n < 1<<20 || n > 1<<30 || n&(n-1) != 0 {
		return h, fmt.Errorf("%w: it says of itself that segments have %d bytes", ErrNotWAL, n)
	}
	return h, nil
}

// pushSpan stores the beginning of a segment, or all of it, whole or in chunks.
func (a *Archive) pushSpan(ctx context.Context, timeline uint32, start, size replication.LSN, s Span, data io.ReaderAt) error {
	there, err := look(ctx, a.Repo, timeline, start, size)
	if err != nil {
		return err
	}
	var same []Span
	for _, p := range there.Parts {
		if p.To > s.To {
			continue // the rest of it nobody has archived
		}
		is, known, err := a.holds(ctx, partKey(timeline, start, size, p), p, data)
		switch {
		case err != nil:
			return err
		case known && !is:
			return fmt.Errorf("%w: %q", ErrConflict, a.Repo.Key(partKey(timeline, start, size, p)))
		case known:
			same = append(same, p)
		}
	}
	buffer := make([]byte, min(size, chunkMost))
	for from := s.From; from < s.To; from += replication.LSN(len(buffer)) {
		piece := Span{from, min(s.To, from+replication.LSN(len(buffer)))}
		key := partKey(timeline, start, size, piece)
		if piece == (Span{0, size}) {
			key = segmentKey(timeline, start, size)
		}
		if slices.Contains(same, piece) {
			continue
		}
		if there.Whole && piece == (Span{0, size}) {
			if is, _, err := a.holds(ctx, key, piece, data); err != nil || is {
				return err
			}
		}
		part := buffer[:piece.To-piece.From]
		if _, err := io.ReadFull(io.NewSectionReader(data, int64(piece.From), int64(len(part))), part); err != nil {
			return err
		}
		if err := a.putCopies(ctx, timeline, start+piece.From, size, part); err != nil {
			return err
		}
		if err := putWAL(ctx, a.Repo, key, part, nil); err != nil {
			return err
		}
	}
	return nil
}

// putCopies records which databases were copied, by what WAL tells from a position on.
func (a *Archive) putCopies(ctx context.Context, timeline uint32, from, size replication.LSN, data []byte) error {
	s := newScanner(from, 0, size)
	s.scan(data)
	for _, f := range s.copies {
		if err := putCopy(ctx, a.Repo, timeline, f); err != nil {
			return err
		}
	}
	return nil
}

// holds says whether an object is what a stretch of a file is. It is read whole: PostgreSQL
// removes what it is told is stored. Of one that is damaged, or has gone since, nothing is
// known.
func (a *Archive) holds(ctx context.Context, key string, s Span, data io.ReaderAt) (is, known bool, err error) {
	sums, err := store.Verify(ctx, a.Repo.Store, a.Repo.Key(key))
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.NewSectionReader(data, int64(s.From), int64(s.To-s.From)))
	return err == nil && sums.PlainSize == n && sums.Plain == [sha256.Size]byte(sum.Sum(nil)), true, err
}

// pushPartial stores what is WAL in the last segment of a timeline: up to where another one
// has left it. What is behind that is of no use, and may be anything.
func (a *Archive) pushPartial(ctx context.Context, timeline uint32, start, size replication.LSN, data io.ReaderAt) error {
	contents, err := List(ctx, a.Repo)
	if err != nil {
		return err
	}
	end := replication.LSN(0)
	for _, t := range contents.Timelines {
		for _, l := range t.Legs {
			if l.Timeline == timeline && l.End > start && l.End <= start+size && (end == 0 || l.End < end) {
				end = l.End
			}
		}
	}
	if end == 0 {
		return errors.New("no history file is stored that says where in it another timeline begins")
	}
	if s := contents.timeline(timeline).segment(start); s != nil && s.end(size) >= end {
		return nil
	}
	return a.pushSpan(ctx, timeline, start, size, Span{0, end - start}, data)
}

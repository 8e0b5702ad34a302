package members

import "time"

// LSN is a position in the WAL, as in pg_lsn.
type LSN uint64

// history is where a server's WAL belongs: positions of two histories cannot be
// compared.
type history struct {
	system   string // system identifier
	timeline uint32
}

// sample is the position up to which the primary had written at a moment: what
// was committed before it is below.
type sample struct {
	history
	at  time.Duration // Clock before the question was sent
	lsn LSN
}

// Sizes in bytes, from PostgreSQL's xlog_internal.h: each page of the WAL begins
// with a header, which is longer on the first page of a segment.
const (
	pageSize          = 8192
	pageHeader        = 24
	segmentPageHeader = 40
)

// reached reports whether a standby that has replayed up to replayed has
// everything below l. A primary that has just begun a page says that it is behind
// the page's header; a standby with nothing left to replay that it is in front of
// it.
func (l LSN) reached(replayed LSN, segment LSN) bool {
	switch {
	case l%segment == segmentPageHeader:
		l -= segmentPageHeader
	case l%pageSize == pageHeader:
		l -= pageHeader
	}
	return replayed >= l
}

// samples are the latest ones, oldest first.
type samples struct{ list []sample }

// maxSamples bounds them: at the closest they are 10 ms apart.
const maxSamples = 256

// add takes one more. Where there are too many, every second one of the older half
// goes: a standby that is far behind needs no fine steps.
func (s *samples) add(x sample) {
	if len(s.list) > 0 && s.list[0].history != x.history {
		s.list = s.list[:0]
	}
	if len(s.list) == maxSamples {
		kept := s.list[:0]
		for i, old := range s.list {
			if i%2 == 0 || i >= maxSamples/2 {
				kept = append(kept, old)
			}
		}
		s.list = kept
	}
	s.list = append(s.list, x)
}

// freshness returns the time up to which a standby has everything that has
// replayed up to replayed, 0 for unknown.
func (s *samples) freshness(h history, replayed, segment LSN) time.Duration {
	for i := len(s.list) - 1; i >= 0; i-- {
		if x := s.list[i]; x.history == h && x.lsn.reached(replayed, segment) {
			return x.at
		}
	}
	return 0
}

// last returns the latest sample, the zero one if there is none.
func (s *samples) last() sample {
	if len(s.list) == 0 {
		return sample{}
	}
	return s.list[len(s.list)-1]
}

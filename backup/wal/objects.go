package wal

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

// Object is one that is in the store below a repository's wal/.
type Object struct {
	store.Info
	Timeline uint32
	History  bool            // it is the timeline's history file
	Start    replication.LSN // of the segment
	Part     Span            // of that; To is 0: the whole segment
	// Odd is why nobody of us has written it. Then nothing else is said but Info.
	Odd error
}

// Objects lists a repository's WAL, timeline after timeline, and each by position, with
// the history files between them.
func Objects(ctx context.Context, r *repository.Repository, size replication.LSN) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		base := r.Key("wal") + "/"
		for info, err := range r.Store.List(ctx, base) {
			if err != nil {
				yield(Object{}, fmt.Errorf("list the WAL of cluster %q: %w", r.Cluster, err))
				return
			}
			o, err := parseKey(strings.TrimPrefix(info.Key, base), size)
			found := Object{Info: info, Odd: err}
			if err == nil {
				found.Timeline, found.History, found.Start, found.Part = o.timeline, o.history, o.start, o.part
			}
			if !yield(found, nil) {
				return
			}
		}
	}
}

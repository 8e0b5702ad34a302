package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// tellEvery is how often the same trouble is told, while it lasts.
const tellEvery = time.Minute

// quiet is what has been told of trouble lately. River logs an error at each of its many
// attempts to reach a catalog that is away.
type quiet struct {
	mu    sync.Mutex
	told  map[string]time.Time // by message
	away  bool                 // the catalog: what River has to say of that is no news
	asked chan struct{}        // has room for one: the catalog is to be asked whether it is there
}

func newQuiet() *quiet { return &quiet{told: map[string]time.Time{}, asked: make(chan struct{}, 1)} }

// isNews reports whether River's message is to be told. After one the catalog is asked
// whether it is there.
func (q *quiet) isNews(message string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.away || !q.due(message, now) {
		return false
	}
	select {
	case q.asked <- struct{}{}:
	default:
	}
	return true
}

// due reports whether a message has not been told lately, and takes it for told.
func (q *quiet) due(message string, now time.Time) bool {
	if last, ok := q.told[message]; ok && now.Sub(last) < tellEvery {
		return false
	}
	q.told[message] = now
	return true
}

// found notes whether the catalog has answered, and tells that, if it is news.
func (q *quiet) found(log *slog.Logger, err error) {
	const away = "the catalog does not answer: no operation begins"
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case err == nil && q.away:
		q.away = false
		delete(q.told, away)
		log.Info("the catalog answers again: operations go on")
	case err != nil:
		q.away = true
		if q.due(away, time.Now()) {
			log.Warn(away, "error", err)
		}
	}
}

// riverLog keeps River's chatter out of the log, and what comes again and again.
type riverLog struct {
	slog.Handler
	quiet *quiet
}

// Enabled implements slog.Handler.
func (l riverLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && l.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l riverLog) Handle(ctx context.Context, r slog.Record) error {
	if !l.quiet.isNews(r.Message, r.Time) {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l riverLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return riverLog{l.Handler.WithAttrs(attrs), l.quiet}
}

// WithGroup implements slog.Handler.
func (l riverLog) WithGroup(name string) slog.Handler {
	return riverLog{l.Handler.WithGroup(name), l.quiet}
}

package wal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Written is how much WAL a database has written, as far as this process has received it:
// records by the database of their first block. Those that have none, of commits for example,
// and those of what all databases share, are nobody's.
type Written struct {
	Total int64 // since the start
	Day   int64 // in the last 24 hours, this one included, each of the clock's
}

// usage is what databases have written.
type usage struct {
	mu        sync.Mutex
	hour      int64 // since 1970, of which the newest counts are
	databases map[uint32]*hours
	names     map[uint32]string
	oids      map[string]uint32 // the inverse
}

type hours struct {
	total int64
	of    [24]int64 // by hour, modulo 24
}

// add takes over what was counted.
func (u *usage) add(t *tally, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.turn(now)
	t.take(func(oid uint32, n int64) {
		d := u.databases[oid]
		if d == nil {
			if u.databases == nil {
				u.databases = map[uint32]*hours{}
			}
			d = &hours{}
			u.databases[oid] = d
		}
		d.total += n
		d.of[u.hour%24] += n
	})
}

// turn begins the hour that it is. A clock that is set back stays in the hour. Databases that
// are gone, and have written nothing for a day, are forgotten.
func (u *usage) turn(now time.Time) {
	hour := now.Unix() / 3600
	if hour <= u.hour {
		return
	}
	for oid, d := range u.databases {
		for h := max(u.hour+1, hour-23); h <= hour; h++ {
			d.of[h%24] = 0
		}
		if u.names != nil && u.names[oid] == "" && oid != 0 && d.day() == 0 {
			delete(u.databases, oid)
		}
	}
	u.hour = hour
}

func (h *hours) day() (sum int64) {
	for _, n := range h.of {
		sum += n
	}
	return sum
}

// name has databases have other names.
func (u *usage) name(names map[uint32]string) {
	oids := make(map[string]uint32, len(names))
	for oid, name := range names {
		oids[name] = oid
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.names, u.oids = names, oids
}

func (u *usage) of(oid uint32, now time.Time) (w Written) {
	u.turn(now)
	if d := u.databases[oid]; d != nil {
		w = Written{d.total, d.day()}
	}
	return w
}

// Written tells what a database has written. It is not known while another node receives, and
// where there is no SampleURL, for nobody knows its OID then.
func (r *Receiver) Written(database string) (w Written, known bool) {
	r.mu.Lock()
	receives := r.stats.Timeline != 0 && !r.stats.Elsewhere
	r.mu.Unlock()
	if !receives {
		return w, false
	}
	r.usage.mu.Lock()
	defer r.usage.mu.Unlock()
	oid, known := r.usage.oids[database]
	if known {
		w = r.usage.of(oid, time.Now())
	}
	return w, known
}

// WrittenByNone is what belongs to no database.
func (r *Receiver) WrittenByNone() Written {
	r.usage.mu.Lock()
	defer r.usage.mu.Unlock()
	return r.usage.of(0, time.Now())
}

// askNames asks which databases there are.
func (u *usage) askNames(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	names := map[uint32]string{}
	rows, err := conn.Query(ctx, "select oid, datname::text from pg_catalog.pg_database")
	if err == nil {
		var oid uint32
		var name string
		_, err = pgx.ForEachRow(rows, []any{&oid, &name}, func() error {
			names[oid] = name
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("read the names of databases: %w", err)
	}
	u.name(names)
	return nil
}

package quota

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"howdah/tenants"
)

const (
	usual    = time.Minute            // between two measurements of a database
	soon     = 10 * time.Second       // of one that is near its quota or over it
	calm     = 200 * time.Millisecond // between a change of the registry and the next look
	patience = 30 * time.Second       // for a cluster's answer
)

// Watch tells how tenants stand to their quotas. Set the fields before Run.
type Watch struct {
	Registry *tenants.Registry
	// Tell is given all tenants with a quota, by name, whenever something is new. It must
	// not change them.
	Tell func(map[string]tenants.Usage)
	Log  *slog.Logger // nil logs nothing
	// Measure is Sizes, if nil.
	Measure func(ctx context.Context, cluster *tenants.Cluster, databases []string) (map[string]int64, error)

	// owned by Run
	figures map[place]figure
	told    map[string]tenants.Usage
	failing map[string]bool // clusters that did not answer
}

// place is where a database is.
type place struct{ cluster, database string }

// figure is what is known of a database's size.
type figure struct {
	size  int64
	known bool
	asked time.Time
}

// Run watches until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	if w.Log == nil {
		w.Log = slog.New(slog.DiscardHandler)
	}
	if w.Measure == nil {
		w.Measure = Sizes
	}
	w.figures, w.told, w.failing = map[place]figure{}, map[string]tenants.Usage{}, map[string]bool{}
	changes, stop := w.Registry.Watch()
	defer stop()
	for {
		s := w.Registry.Snapshot()
		limited := limitedIn(s)
		w.ask(ctx, s, limited)
		w.settle(limited)
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.pause()):
		case <-changes:
			select {
			case <-ctx.Done():
				return
			case <-time.After(calm):
			}
		}
	}
}

// limitedIn returns the tenants that have a quota.
func limitedIn(s *tenants.Snapshot) (all []*tenants.Tenant) {
	for t := range s.Tenants() {
		if t.Limits.Quota > 0 {
			all = append(all, t)
		}
	}
	for t := range s.Found() {
		if t.Limits.Quota > 0 {
			all = append(all, t)
		}
	}
	return all
}

// pause returns how long nothing needs be done.
func (w *Watch) pause() time.Duration {
	wait := soon
	for _, u := range w.told {
		if u.State == tenants.QuotaGrace {
			wait = min(wait, time.Until(u.GraceUntil))
		}
	}
	return max(wait, 0)
}

// ask measures the databases that are due, of all clusters at once.
func (w *Watch) ask(ctx context.Context, s *tenants.Snapshot, limited []*tenants.Tenant) {
	now := time.Now()
	due, places := map[string][]string{}, map[place]bool{}
	for _, t := range limited {
		p := place{t.Cluster, t.Database}
		if !places[p] && w.isDue(t, w.figures[p], now) {
			due[t.Cluster] = append(due[t.Cluster], t.Database)
		}
		places[p] = true
	}
	maps.DeleteFunc(w.figures, func(p place, _ figure) bool { return !places[p] })
	var mu sync.Mutex
	var asking sync.WaitGroup
	for name, databases := range due {
		c, ok := s.Cluster(name)
		if !ok {
			continue
		}
		asking.Go(func() {
			sizes, err := w.measure(ctx, c, databases)
			mu.Lock()
			defer mu.Unlock()
			w.note(ctx, c, databases, sizes, err, now)
		})
	}
	asking.Wait()
}

func (w *Watch) isDue(t *tenants.Tenant, f figure, now time.Time) bool {
	every := usual
	if !f.known || w.told[t.Name].State > tenants.QuotaWithin {
		every = soon
	}
	return f.asked.IsZero() || now.Sub(f.asked) >= every-calm
}

var errNoAdmin = errors.New("the cluster has no admin_url: quotas of its tenants are not watched")

func (w *Watch) measure(ctx context.Context, c *tenants.Cluster, databases []string) (map[string]int64, error) {
	if c.AdminURL == "" {
		return nil, errNoAdmin
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return w.Measure(ctx, c, databases)
}

// note keeps what a cluster answered. Where it did not, what was known goes on: a tenant
// does not come by more room because its cluster cannot be asked.
func (w *Watch) note(ctx context.Context, c *tenants.Cluster, databases []string, sizes map[string]int64, err error, at time.Time) {
	for _, name := range databases {
		f := w.figures[place{c.Name, name}]
		f.asked = at
		if err == nil {
			f.size, f.known = sizes[name]
		}
		w.figures[place{c.Name, name}] = f
	}
	if err == nil {
		delete(w.failing, c.Name)
	} else if !w.failing[c.Name] && ctx.Err() == nil {
		w.failing[c.Name] = true
		w.Log.Error("cannot measure databases that have a quota; what was measured last goes on", "cluster", c.Name, "error", err)
	}
}

// settle tells how the tenants stand now, if that is new.
func (w *Watch) settle(limited []*tenants.Tenant) {
	now, next := time.Now(), make(map[string]tenants.Usage, len(limited))
	for _, t := range limited {
		u := tenants.Usage{Quota: t.Limits.Quota}
		if f := w.figures[place{t.Cluster, t.Database}]; f.known {
			u = t.Measured(w.told[t.Name].State, f.size, now)
		}
		next[t.Name] = u
	}
	if maps.Equal(w.told, next) {
		return
	}
	for _, t := range slices.SortedFunc(slices.Values(limited), func(a, b *tenants.Tenant) int { return cmp.Compare(a.Name, b.Name) }) {
		w.say(t.Name, w.told[t.Name].State, next[t.Name])
	}
	w.told = next
	w.Tell(next)
}

// say logs that a tenant stands otherwise than before.
func (w *Watch) say(tenant string, before tenants.QuotaState, now tenants.Usage) {
	if before == now.State {
		return
	}
	args := []any{"tenant", tenant, "size", now.Size, "quota", now.Quota}
	switch now.State {
	case tenants.QuotaNear:
		w.Log.Warn("tenant is near its quota", args...)
	case tenants.QuotaOver:
		w.Log.Warn("tenant is over its quota", args...)
	case tenants.QuotaGrace:
		w.Log.Warn("tenant is over its quota and may write for a while", append(args, "until", now.GraceUntil)...)
	case tenants.QuotaWithin:
		if before > tenants.QuotaWithin {
			w.Log.Info("tenant is within its quota again", args...)
		}
	}
}

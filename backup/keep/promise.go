package keep

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"howdah/backup/base"
	"howdah/backup/repository"
	"howdah/backup/store"
)

// A promise is a policy that held from a moment on, until the next one was noted. The tenants
// for whose sake it was may have left the cluster, or their tier, since: what they were
// promised of the time before is kept nevertheless. Promises are beside the backups, so that
// they are known where there is nothing else but the configuration file.
type promise struct {
	Format int       `json:"format"`
	Since  time.Time `json:"since"`
	Count  int       `json:"keep_base"`
	Window int64     `json:"keep_window"` // seconds

	key string
}

const (
	promiseFormat = 1
	promiseMost   = 64 << 10 // more than one has bytes
)

// errPromise is of a promise that cannot be read.
var errPromise = errors.New("what was promised before cannot be read")

func newPromise(policy Policy, now time.Time) promise {
	window := (policy.Window + time.Second - 1) / time.Second
	return promise{Format: promiseFormat, Since: now.UTC().Truncate(time.Millisecond), Count: max(policy.Count, 1), Window: int64(max(window, 0))}
}

func (p *promise) window() time.Duration { return time.Duration(p.Window) * time.Second }

func (p *promise) same(q *promise) bool { return p.Count == q.Count && p.Window == q.Window }

// Note has a policy be remembered that holds from now on, unless it is what held already.
// repository.ErrEmpty is that there is nothing yet of which anything could be kept.
func Note(ctx context.Context, r *repository.Repository, policy Policy, now time.Time) error {
	if _, err := r.Identity(ctx); err != nil {
		return err
	}
	all, err := promises(ctx, r)
	if err != nil {
		return fmt.Errorf("note what is promised of cluster %q: %w", r.Cluster, err)
	}
	p := newPromise(policy, now)
	if len(all) > 0 && all[len(all)-1].same(&p) {
		return nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	key := r.Key("policies", repository.NewID(p.Since))
	if err := r.Store.Put(ctx, key, text, store.WithSum(text)); err != nil {
		return fmt.Errorf("note what is promised of cluster %q: %w", r.Cluster, err)
	}
	return nil
}

// Noted returns the policy that was noted last; its Count is 0 if none was.
func Noted(ctx context.Context, r *repository.Repository) (Policy, error) {
	all, err := promises(ctx, r)
	if err != nil {
		return Policy{}, fmt.Errorf("look what is promised of cluster %q: %w", r.Cluster, err)
	}
	if len(all) == 0 {
		return Policy{}, nil
	}
	last := &all[len(all)-1]
	return Policy{Count: last.Count, Window: last.window()}, nil
}

// promises returns what was promised, the oldest first. It is errPromise if one of them
// cannot be read.
func promises(ctx context.Context, r *repository.Repository) (all []promise, err error) {
	for info, err := range r.Store.List(ctx, r.Key("policies")+"/") {
		if err != nil {
			return nil, fmt.Errorf("list what was promised: %w", err)
		}
		p, err := readPromise(ctx, r, info)
		if errors.Is(err, store.ErrNotFound) { // let go since
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b promise) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.key, b.key)) })
	return all, nil
}

func readPromise(ctx context.Context, r *repository.Repository, info store.Info) (*promise, error) {
	p := &promise{key: info.Key}
	text, err := store.ReadPlain(ctx, r.Store, info.Key, promiseMost)
	switch {
	case err == nil && (json.Unmarshal(text, p) != nil || p.Count < 1 || p.Window < 0):
		err = store.ErrDamaged
	case err == nil && p.Format > promiseFormat:
		err = base.ErrNewer
	}
	if errors.Is(err, store.ErrDamaged) || errors.Is(err, base.ErrNewer) {
		return nil, fmt.Errorf("%w: %q: %w", errPromise, info.Key, err)
	}
	if err != nil {
		return nil, err
	}
	if info.Time.After(p.Since) { // whose clock was behind: what held before held until then
		p.Since = info.Time
	}
	return p, nil
}

// readPromises reads what was promised, unless that is to be forgotten. What cannot be read
// may have promised anything.
func (p *Plan) readPromises(ctx context.Context) (err error) {
	if p.Policy.Forget {
		return nil
	}
	p.promises, err = promises(ctx, p.repo)
	if errors.Is(err, errPromise) {
		p.idle("%v", err)
		return nil
	}
	return err
}

// widen has the policy keep what was promised before: a window until the end of the promise
// is out of it, a number of base backups while one of so many is of before that end. Until
// then it holds for what came after that end too. Windows are counted from now on.
func (p *Plan) widen(good []*base.Manifest, now time.Time) {
	set := newPromise(p.set, p.now)
	var window, count string
	for i := range p.promises {
		old, end := &p.promises[i], p.now
		if i+1 < len(p.promises) {
			end = p.promises[i+1].Since
		} else if old.same(&set) {
			break
		}
		until, needed := end.Add(old.window()), false
		if !until.Before(now) {
			needed = true
			if old.Window > set.Window && old.window() >= p.Policy.Window {
				window = fmt.Sprintf("until %s every moment of %s before the newest base backup, which was promised until %s", stamp(until), old.window(), stamp(end))
			}
			p.Policy.Window = max(p.Policy.Window, old.window())
		}
		if slices.ContainsFunc(good[:min(len(good), old.Count)], func(m *base.Manifest) bool { return !m.Finished.After(end) }) {
			needed = true
			if old.Count > set.Count && old.Count >= p.Policy.Count {
				count = fmt.Sprintf("%d base backups, while one of them is of before %s, until when so many were promised", old.Count, stamp(end))
			}
			p.Policy.Count = max(p.Policy.Count, old.Count)
		}
		if !needed && len(p.over) == i {
			p.over = append(p.over, *old)
		}
	}
	for _, text := range []string{window, count} {
		if text != "" {
			p.Promised = append(p.Promised, text)
		}
	}
}

// renew notes the policy that holds now.
func (p *Plan) renew(ctx context.Context) error {
	if p.Policy.Forget {
		for info, err := range p.repo.Store.List(ctx, p.repo.Key("policies")+"/") {
			if err == nil {
				err = p.repo.Store.Delete(ctx, info.Key)
			}
			if err != nil {
				return fmt.Errorf("forget what was promised: %w", err)
			}
		}
	}
	return Note(ctx, p.repo, p.set, p.now)
}

// letGo forgets the promises that are over, the oldest first: what held before one of them
// would seem to have held for longer.
func (p *Plan) letGo(ctx context.Context) error {
	for i := range p.over {
		if err := p.repo.Store.Delete(ctx, p.over[i].key); err != nil {
			return err
		}
	}
	return nil
}

package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"howdah/backup/store"
)

// Newest finds out again and again when the newest export of each tenant was taken, for one
// goroutine. A manifest that was read is not read again.
type Newest struct {
	known map[string]newest // by id
}

type newest struct {
	version string
	tenant  string    // its UUID, or its name where it has none
	taken   time.Time // the zero: it is no export, or cannot be read
}

// Read returns when the newest export of each tenant was taken, by its UUID, or by its name
// where an export has none, of those in several places. What cannot be read is no export here:
// verify tells of it. The error tells of places that are away, whose exports are left out.
func (n *Newest) Read(ctx context.Context, places ...*Place) (map[string]time.Time, error) {
	now, taken := map[string]newest{}, map[string]time.Time{}
	var away []error
	for _, p := range places {
		away = append(away, n.readPlace(ctx, p, now, taken))
	}
	n.known = now
	return taken, errors.Join(away...)
}

func (n *Newest) readPlace(ctx context.Context, p *Place, now map[string]newest, taken map[string]time.Time) error {
	ids, versions := map[string][]string{}, map[string]string{} // by the name in the id
	for info, err := range p.Store.List(ctx, manifests) {
		if err != nil {
			return fmt.Errorf("list exports: %w", err)
		}
		id := strings.TrimPrefix(info.Key, manifests)
		if name := TenantOf(id); name != "" {
			ids[name] = append(ids[name], id)
			versions[id] = info.Version
		}
	}
	for _, all := range ids {
		slices.SortFunc(all, func(a, b string) int { return cmp.Compare(b, a) })
		for _, id := range all {
			one, err := n.read(ctx, p, id, versions[id])
			if err != nil {
				return err
			}
			now[id] = one
			if one.taken.IsZero() {
				continue
			}
			if one.taken.After(taken[one.tenant]) { // it may have had another name before
				taken[one.tenant] = one.taken
			}
			break
		}
	}
	return nil
}

func (n *Newest) read(ctx context.Context, p *Place, id, version string) (newest, error) {
	one, ok := n.known[id]
	if ok && one.version == version {
		return one, nil
	}
	m, err := p.Manifest(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrDamaged), errors.Is(err, ErrNewer), errors.Is(err, ErrID):
		return newest{version: version}, nil
	case err != nil:
		return one, err
	}
	return newest{version, cmp.Or(m.TenantID, m.Tenant), m.Taken}, nil
}

package drill

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"howdah/backup/base"
	"howdah/backup/restore"
	"howdah/backup/wal"
)

// Random is the target that is a moment at random, of those that can be restored.
const Random = "random"

// attempts are how many moments are tried at random: what is in a gap cannot be restored.
const attempts = 8

// plan says how the drill's target is reached.
func (d *Drill) plan(ctx context.Context) (*restore.Plan, error) {
	if d.To != Random {
		target, err := restore.ParseTarget(d.to())
		if err != nil {
			return nil, err
		}
		return restore.Make(ctx, d.Repo, target, 0, "")
	}
	all, err := base.List(ctx, d.Repo)
	if len(all) == 0 && err != nil {
		return nil, err
	}
	until, _, err := wal.StoredUntil(ctx, d.Repo)
	if err != nil {
		return nil, err
	}
	for range attempts {
		if len(all) == 0 || !until.Time.After(all[len(all)-1].Finished) {
			break
		}
		from := all[len(all)-1].Finished
		target := restore.Target{Time: from.Add(rand.N(until.Time.Sub(from))).Truncate(time.Microsecond)}
		if p, err := restore.Make(ctx, d.Repo, target, 0, ""); !errors.Is(err, restore.ErrUnreachable) {
			return p, err
		}
	}
	return restore.Make(ctx, d.Repo, restore.Target{}, 0, "")
}

func (d *Drill) to() string {
	if d.To == "" {
		return restore.Target{}.String()
	}
	return d.To
}

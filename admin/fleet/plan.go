package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"howdah/admin/jobs"
	"howdah/provision"
	"howdah/tenants/catalog"
)

// planner is provision.Plan or provision.Undo.
type planner func(provision.Operation, provision.State) ([]provision.Step, error)

// changing is a provision.Operation that is being run on a cluster.
type changing struct {
	run     *jobs.Run
	cluster string
	op      provision.Operation
	holds   []string // whose clients are held for steps that need it; nil for the run's tenant, empty where the caller holds them
	after   int      // steps that come behind
	done    int
	// letGo has clients go on as soon as no step needs them held, and lasted says for how
	// long they were.
	letGo  bool
	lasted time.Duration
	// bounded has a step of that name be broken off when clients have been held for
	// heldAtMost. "" is none.
	bounded string
}

// heldAtMost is for how long clients are held by a step that was guessed to take less than
// copyAtMost. What takes half as long again was guessed wrong, and who waits cannot know
// how much more is to come.
const heldAtMost = copyAtMost + copyAtMost/2

// errHeldTooLong is of a step that was broken off because clients were held by it.
var errHeldTooLong = errors.New("clients have been held for too long")

// held are the tenants whose clients are held for steps that need it.
func (c *changing) held() []string {
	if c.holds != nil {
		return c.holds
	}
	return []string{c.run.Tenant}
}

// surprises are how often the cluster may turn out to be other than it was when the plan
// was made.
const surprises = 10

// change has a cluster be as an operation wants it, one step after the other. The
// returned function lets the tenant's clients go on, if they are held.
func (f *Fleet) change(ctx context.Context, c *changing, plan planner) (release func(), err error) {
	release = func() {}
	conn, back, err := f.borrow(ctx, c.cluster)
	if err != nil {
		return release, err
	}
	defer func() { back(err) }()
	held, since := false, time.Time{}
	for changed := 0; ; {
		steps, err := observed(ctx, conn, c.op, plan)
		if err != nil || len(steps) == 0 {
			return release, err
		}
		step := steps[0]
		if held && c.letGo && !slices.ContainsFunc(steps, func(s provision.Step) bool { return s.NeedsHold }) {
			f.letGo(ctx, c.run, release)
			release, held, c.lasted = func() {}, false, c.lasted+time.Since(since)
		}
		if tenants := c.held(); step.NeedsHold && !held && len(tenants) > 0 {
			if release, err = f.hold(ctx, c.run.ID, tenants); err != nil {
				return func() {}, err
			}
			held, since = true, time.Now()
		}
		err = c.run.Step(ctx, step.Name, c.done, c.done+len(steps)+c.after, func(ctx context.Context) error {
			if held && step.Name == c.bounded {
				return runUntil(ctx, conn, step, since.Add(heldAtMost))
			}
			return provision.Run(ctx, conn, step)
		})
		if errors.Is(err, provision.ErrChanged) && changed < surprises {
			changed++
			continue
		}
		if err != nil {
			if held {
				c.lasted += time.Since(since)
			}
			return release, refusal(err)
		}
		c.done++
	}
}

// runUntil is provision.Run that is broken off at a time: by the server, which knows that
// though this process may be gone.
func runUntil(ctx context.Context, conn *pgx.Conn, step provision.Step, end time.Time) error {
	left := max(time.Until(end), 0).Milliseconds() + 1 // 0 would be no limit
	if _, err := conn.Exec(ctx, "select pg_catalog.set_config('statement_timeout', $1, false)", strconv.FormatInt(left, 10)); err != nil {
		return err
	}
	err := provision.Run(ctx, conn, step)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "57014" && !time.Now().Before(end) { // query_canceled
		return fmt.Errorf("%w: %w", errHeldTooLong, err)
	}
	if _, reset := conn.Exec(ctx, "reset statement_timeout"); err == nil {
		err = reset
	}
	return err
}

// letGo has clients go on whom the operation holds: first those sessions that listen, on
// all nodes.
func (f *Fleet) letGo(ctx context.Context, r *jobs.Run, release func()) {
	if err := r.Change(ctx, func(tx *catalog.Tx) error { return tx.EndHold(r.ID) }); err != nil {
		f.Log.Warn("clients go on at once", "tenant", r.Tenant, "error", err)
	}
	release()
}

// observed plans from what the cluster holds now.
func observed(ctx context.Context, conn *pgx.Conn, op provision.Operation, plan planner) ([]provision.Step, error) {
	state, err := provision.Observe(ctx, conn, op)
	if err != nil {
		return nil, refusal(err)
	}
	steps, err := plan(op, state)
	return steps, refusal(err)
}

// connect logs in to a cluster as who may make databases.
func (f *Fleet) connect(ctx context.Context, cluster string) (*pgx.Conn, error) {
	c, err := f.cluster(cluster)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, c.AdminURL)
	if err != nil {
		return nil, &ClusterError{cluster, err}
	}
	return conn, nil
}

// ClusterError is of a cluster that cannot be logged in to.
type ClusterError struct {
	Cluster string
	Reason  error
}

func (e *ClusterError) Error() string {
	return fmt.Sprintf("log in to cluster %q: %v", e.Cluster, e.Reason)
}
func (e *ClusterError) Unwrap() error { return e.Reason }

// Told is what those are told who need not know where it is.
func (e *ClusterError) Told() string {
	return fmt.Sprintf("cluster %q cannot be reached, or does not let its admin_url in; the log says why", e.Cluster)
}

// preview says what an operation would do, for --dry-run.
func (f *Fleet) preview(ctx context.Context, cluster string, op provision.Operation) (says []string, err error) {
	conn, back, err := f.borrow(ctx, cluster)
	if err != nil {
		return nil, err
	}
	defer func() { back(err) }()
	steps, err := observed(ctx, conn, op, provision.Plan)
	for _, s := range steps {
		text := s.Says
		if s.NeedsHold {
			text += " (its clients are held meanwhile)"
		}
		says = append(says, text)
	}
	return says, err
}

package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// State is how far an operation is.
type State string

// The states. The first three and Attention keep the tenant's other operations out.
const (
	Queued    State = "queued"
	Running   State = "running"
	Attention State = "attention" // it has failed several times: an operator resumes or cancels it
	Done      State = "done"
	Failed    State = "failed" // and was rolled back
	Cancelled State = "cancelled"
)

// Ended reports whether nothing more will come.
func (s State) Ended() bool { return s == Done || s == Failed || s == Cancelled }

// Operation is something that takes time: to create a tenant, to drop one.
type Operation struct {
	ID         string          `json:"id"`
	Kind       string          `json:"kind"`
	Tenant     string          `json:"tenant"`
	Parameters json.RawMessage `json:"-"` // they may hold a verifier
	State      State           `json:"state"`
	Cancel     bool            `json:"cancel"` // somebody wants it cancelled
	Step       string          `json:"step"`
	StepBegun  bool            `json:"-"` // the step may have happened, in whole or in part
	Done       int             `json:"done"`
	Total      int             `json:"total"` // steps, as far as they are known
	Attempts   int             `json:"attempts"`
	Error      string          `json:"error,omitempty"`
	Result     json.RawMessage `json:"result,omitempty"`
	Node       string          `json:"node,omitempty"`
	Actor      string          `json:"actor"`
	Created    time.Time       `json:"created"`
	Started    *time.Time      `json:"started,omitempty"`
	Finished   *time.Time      `json:"finished,omitempty"`

	turn int64 // raised by each Take: what is noted for an earlier one is refused
}

// BusyError is of a tenant on which another operation is under way.
type BusyError struct {
	Tenant, Operation string
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("tenant %q is busy: operation %s is under way", e.Tenant, e.Operation)
}

const operationColumns = `id::text, kind, tenant, parameters, state, cancel, step, step_begun, done, total, attempts, error, result, node, actor, created_at, started_at, finished_at, turn`

func scanOperation(row pgx.CollectableRow) (o Operation, err error) {
	err = row.Scan(&o.ID, &o.Kind, &o.Tenant, &o.Parameters, &o.State, &o.Cancel, &o.Step, &o.StepBegun, &o.Done, &o.Total,
		&o.Attempts, &o.Error, &o.Result, &o.Node, &o.Actor, &o.Created, &o.Started, &o.Finished, &o.turn)
	return o, err
}

// Begin notes an operation that is to be run, on a tenant and on those that it needs to
// be left alone besides. Where one is under way on any of them it is a *BusyError, and the
// change must be given up.
func (t *Tx) Begin(kind, tenant string, parameters any, besides ...string) (*Operation, error) {
	if parameters == nil {
		parameters = struct{}{}
	}
	for _, name := range append([]string{tenant}, besides...) {
		if err := t.Free(name); err != nil {
			return nil, err
		}
	}
	if besides == nil {
		besides = []string{}
	}
	rows, err := t.tx.Query(t.ctx, "insert into howdah.operation (kind, tenant, besides, parameters, actor) values ($1, $2, $3, $4, $5) returning "+operationColumns,
		kind, tenant, besides, parameters, t.actor.Name)
	if err != nil {
		return nil, fmt.Errorf("begin operation: %w", err)
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanOperation)
	if err != nil {
		return nil, fmt.Errorf("begin operation: %w", err)
	}
	return &o, t.audit("begin "+kind, Tenant, tenant, nil, Settings{"operation": o.ID})
}

// Free is a *BusyError where an operation is under way on a tenant.
func (t *Tx) Free(tenant string) error {
	var busy string
	err := t.tx.QueryRow(t.ctx, "select id::text from howdah.operation where (tenant = $1 or $1 = any (besides)) and state in ('queued', 'running', 'attention')", tenant).Scan(&busy)
	switch {
	case err == nil:
		return &BusyError{Tenant: tenant, Operation: busy}
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	}
	return fmt.Errorf("begin operation: %w", err)
}

// End notes how an operation ended, with the change that is its outcome.
func (t *Tx) End(o *Operation, state State, reason string, result any) error {
	if result == nil {
		result = struct{}{}
	}
	tag, err := t.tx.Exec(t.ctx, `update howdah.operation set state = $2, error = $3, result = $4, finished_at = now(), lease_until = null, parameters = parameters - '{user_settings,before,verifier,server_key,server_verifier}'::text[]
		where id = $1 and turn = $5 and state in ('queued', 'running', 'attention')`, o.ID, state, reason, result, o.turn)
	if err != nil {
		return fmt.Errorf("end operation: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("end operation %s: %w", o.ID, ErrChanged)
	}
	details := Settings{"operation": o.ID}
	if reason != "" {
		details["error"] = reason
	}
	return t.audit(string(state)+" "+o.Kind, Tenant, o.Tenant, nil, details)
}

// MustRun is an error, ErrChanged, unless the operation is still run as o says; nobody takes
// it until the change is made. A node that was stopped for longer than its lease does not
// know yet that it has lost it.
func (t *Tx) MustRun(o *Operation) error {
	var one int
	err := t.tx.QueryRow(t.ctx, "select 1 from howdah.operation where id = $1 and turn = $2 and state = 'running' for update", o.ID, o.turn).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrChanged
	}
	if err != nil {
		return fmt.Errorf("operation %s: %w", o.ID, err)
	}
	return nil
}

// Operation returns one operation, or ErrNotFound.
func (c *Catalog) Operation(ctx context.Context, id string) (*Operation, error) {
	rows, err := c.pool.Query(ctx, "select "+operationColumns+" from howdah.operation where id::text = $1", id)
	if err != nil {
		return nil, err
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanOperation)
	if err != nil {
		return nil, fmt.Errorf("operation %s: %w", id, found(err))
	}
	return &o, nil
}

// Operations returns the newest operations, of one tenant or of all ("").
func (c *Catalog) Operations(ctx context.Context, tenant string, most int) ([]Operation, error) {
	where, arguments := "true", []any{most}
	if tenant != "" {
		where, arguments = "tenant = $2", append(arguments, tenant)
	}
	rows, err := c.pool.Query(ctx, "select "+operationColumns+" from howdah.operation where "+where+" order by created_at desc, id limit $1", arguments...)
	if err != nil {
		return nil, fmt.Errorf("list operations: %w", err)
	}
	return pgx.CollectRows(rows, scanOperation)
}

// Underway returns the kinds of the operations that have not ended, by tenant.
func (c *Catalog) Underway(ctx context.Context) (map[string]string, error) {
	rows, err := c.pool.Query(ctx, "select unnest(tenant || besides), kind from howdah.operation where state in ('queued', 'running', 'attention')")
	if err != nil {
		return nil, fmt.Errorf("list operations under way: %w", err)
	}
	all := map[string]string{}
	var tenant, kind string
	_, err = pgx.ForEachRow(rows, []any{&tenant, &kind}, func() error {
		all[tenant] = kind
		return nil
	})
	return all, err
}

// Take gives an operation to a node, which runs it from where it is and renews its
// lease. It returns nil if there is nothing to be run: the operation has ended, waits
// for an operator, or is another node's.
func (c *Catalog) Take(ctx context.Context, id, node string, lease time.Duration) (*Operation, error) {
	rows, err := c.pool.Query(ctx, `update howdah.operation set state = 'running', node = $2, lease_until = now() + $3, turn = turn + 1, attempts = attempts + 1, started_at = coalesce(started_at, now())
		where id = $1 and state in ('queued', 'running') and (lease_until is null or lease_until < now())
		and not exists (select from howdah.catalog where review is not null) and `+inHistory(4)+` returning `+operationColumns,
		append([]any{id, node, lease}, c.Known().arguments()...)...)
	if err != nil {
		return nil, fmt.Errorf("take operation %s: %w", id, err)
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanOperation)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take operation %s: %w", id, err)
	}
	return &o, nil
}

// Renew keeps an operation for its node, and reports whether somebody wants it
// cancelled. ErrChanged says that it is the node's no more: it must stop at once.
func (c *Catalog) Renew(ctx context.Context, o *Operation, lease time.Duration) (cancel bool, err error) {
	err = c.pool.QueryRow(ctx, "update howdah.operation set lease_until = now() + $3 where id = $1 and turn = $2 and state = 'running' returning cancel", o.ID, o.turn, lease).Scan(&cancel)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("operation %s: %w", o.ID, ErrChanged)
	}
	return cancel, err
}

// NoteStep notes that a step begins, or has ended, and whether somebody wants the operation
// cancelled.
func (c *Catalog) NoteStep(ctx context.Context, o *Operation, step string, begun bool, done, total int) error {
	err := c.pool.QueryRow(ctx, "update howdah.operation set step = $3, step_begun = $4, done = $5, total = $6 where id = $1 and turn = $2 and state = 'running' returning cancel",
		o.ID, o.turn, step, begun, done, total).Scan(&o.Cancel)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrChanged
	}
	if err != nil {
		return fmt.Errorf("note step %q of operation %s: %w", step, o.ID, err)
	}
	o.Step, o.StepBegun, o.Done, o.Total = step, begun, done, total
	return nil
}

// Amend has an operation that runs have other parameters: whoever goes on with it goes by
// them.
func (c *Catalog) Amend(ctx context.Context, o *Operation, parameters any) error {
	err := c.pool.QueryRow(ctx, "update howdah.operation set parameters = $3 where id = $1 and turn = $2 and state = 'running' returning parameters",
		o.ID, o.turn, parameters).Scan(&o.Parameters)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrChanged
	}
	if err != nil {
		return fmt.Errorf("amend operation %s: %w", o.ID, err)
	}
	return nil
}

// Fail notes that an attempt has failed. The operation is queued again, or with ask
// waits for an operator.
func (c *Catalog) Fail(ctx context.Context, o *Operation, reason string, ask bool) error {
	state := Queued
	if ask {
		state = Attention
	}
	_, err := c.pool.Exec(ctx, "update howdah.operation set state = $3, error = $4, lease_until = null where id = $1 and turn = $2 and state = 'running'", o.ID, o.turn, state, reason)
	if err != nil {
		return fmt.Errorf("note that operation %s has failed: %w", o.ID, err)
	}
	return nil
}

// Release gives an operation back that its node has no time to end.
func (c *Catalog) Release(ctx context.Context, o *Operation) error {
	_, err := c.pool.Exec(ctx, "update howdah.operation set state = 'queued', lease_until = null, attempts = greatest(attempts - 1, 0) where id = $1 and turn = $2 and state = 'running'", o.ID, o.turn)
	if err != nil {
		return fmt.Errorf("give back operation %s: %w", o.ID, err)
	}
	return nil
}

// Reclaim frees the operations that nobody runs any more: those whose lease has run out,
// and those of a node that has come back, if it is named. That one may also have been
// about to take operations that are still queued: they are freed too, since to look at one
// twice does no harm. queue has somebody run one, in
// the same transaction.
func (c *Catalog) Reclaim(ctx context.Context, node string, queue func(tx pgx.Tx, id string) error) error {
	return pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "update howdah.operation set state = 'queued', lease_until = null where state = 'running' and (node = $1 or lease_until < now()) or state = 'queued' and $1 <> '' returning id::text", node)
		if err != nil {
			return fmt.Errorf("reclaim operations: %w", err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("reclaim operations: %w", err)
		}
		for _, id := range ids {
			if err := queue(tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// WantCancel asks that an operation be cancelled: whoever runs it rolls it back.
func (t *Tx) WantCancel(id string) error {
	return t.steer("cancel", id, "update howdah.operation set cancel = true, state = case state when 'attention' then 'queued' else state end, attempts = 0 where id::text = $1 and state in ('queued', 'running', 'attention') returning tenant")
}

// Resume has an operation run again that waits for an operator, forward, though it was
// to be cancelled before.
func (t *Tx) Resume(id string) error {
	return t.steer("resume", id, "update howdah.operation set state = 'queued', attempts = 0, cancel = false where id::text = $1 and state = 'attention' returning tenant")
}

func (t *Tx) steer(action, id, sql string) error {
	var tenant string
	if err := t.tx.QueryRow(t.ctx, sql, id).Scan(&tenant); err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) {
			return fmt.Errorf("%s operation %s: %w", action, id, err)
		}
		return fmt.Errorf("%s operation %s: %w in a state that allows it", action, id, found(err))
	}
	return t.audit(action, Tenant, tenant, nil, Settings{"operation": id})
}

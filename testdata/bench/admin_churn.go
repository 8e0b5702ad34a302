package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"howdah/wire/postgres"
)

const (
	churned      = 500
	churnWorkers = 4
)

// runChurn measures what it costs to make, use and drop many tenants, and fails if they
// leave something.
func (b *bench) runChurn(ctx context.Context, a *adminPlane) error {
	if err := a.churn(ctx, "before", 2*churnWorkers, nil); err != nil { // what is made once
		return err
	}
	before, err := a.left(ctx)
	if err != nil {
		return err
	}
	n := churned
	if b.seconds == 1 { // a quick run
		n = 10 * churnWorkers
	}
	took := make(series, n)
	begun := time.Now()
	if err := a.churn(ctx, "churn", n, took); err != nil {
		return err
	}
	// Of connections that are kept open for later there are now more, now fewer.
	b.say("%d tenants made, used and dropped in %v", n, time.Since(begun).Round(time.Second))
	after, err := a.left(ctx)
	if err != nil {
		return err
	}
	b.report.add(fmt.Sprintf("%d tenants made, used and dropped by %d workers, each, median, ms", n, churnWorkers), target{}).sample(howdah, took.median())
	b.report.add("– p99, ms", target{}).sample(howdah, took.quantile(0.99))
	b.report.add("– goroutines more", aloneAtMost(10)).sample(howdah, after.goroutines-before.goroutines)
	b.report.add("– open files more", aloneAtMost(10)).sample(howdah, after.files-before.files)
	b.report.add("– resident memory more, MB", target{}).sample(howdah, (after.memory-before.memory)/(1<<20))
	if after.objects != before.objects {
		return fmt.Errorf("the server had %s, and has %s", before.objects, after.objects)
	}
	return nil
}

// churn makes tenants, uses them once and drops them. took, if not nil, gets the
// milliseconds of each.
func (a *adminPlane) churn(ctx context.Context, prefix string, n int, took series) error {
	return together(churnWorkers, n, func(i int) error {
		begun := time.Now()
		t, err := a.makeTenant(ctx, fmt.Sprintf("%s-%d", prefix, i))
		if err != nil {
			return err
		}
		if err := a.enter(ctx, &t); err != nil {
			return err
		}
		err = a.begin(ctx, "DELETE", "/tenants/"+t.Name, nil)
		if err == nil {
			err = a.begin(ctx, "DELETE", "/dropped/"+t.Name, nil)
		}
		if took != nil {
			took[i] = time.Since(begun).Seconds() * 1000
		}
		return err
	})
}

// remains are what there is when nobody asks for anything.
type remains struct {
	goroutines, files, memory float64
	objects                   string
}

const objectsQuery = `select concat_ws(', ', (select count(*) || ' databases' from pg_database), (select count(*) || ' roles' from pg_roles),
	(select count(*) || ' tablespaces' from pg_tablespace), (select count(*) || ' comments' from pg_shdescription), (select count(*) || ' settings' from pg_db_role_setting))`

const rowsQuery = `select concat_ws(', ', (select count(*) || ' entries' from howdah.entry), (select count(*) || ' dropped' from howdah.dropped),
	(select count(*) || ' roles known' from howdah.role), (select count(*) || ' holds' from howdah.hold where until > now() and not ending),
	(select count(*) || ' operations not ended' from howdah.operation where state in ('queued', 'running', 'attention')),
	(select count(*) || ' jobs not ended' from river.river_job where state in ('available', 'running', 'retryable') and queue <> 'schedule'))`

// left waits until Howdah has closed what it does not need, and looks.
func (a *adminPlane) left(ctx context.Context) (r remains, err error) {
	for range 3 { // ends of jobs are noted a little later, and idle connections close
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
	var objects, rows string
	err = errors.Join(a.main.QueryRow(ctx, postgres.Superuser, objectsQuery, nil, &objects), a.main.QueryRow(ctx, "catalog", rowsQuery, nil, &rows))
	r.objects = objects + ", " + rows
	for name, value := range map[string]*float64{"go_goroutines": &r.goroutines, "process_open_fds": &r.files, "process_resident_memory_bytes": &r.memory} {
		if err == nil {
			*value, err = a.metric(ctx, name)
		}
	}
	return r, err
}

package router_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// marker is a client that writes rows that carry its number, reads them back,
// and goes away in all the ways there are. It keeps a ledger of what must be
// and of what must not be in the table.
type marker struct {
	door  *door
	id    int
	rng   *rand.Rand
	n     int
	kept  []string // committed and confirmed
	never []string // rolled back, or never committed
}

// next makes a value that no other client and no other moment writes.
func (m *marker) next() string {
	m.n++
	return fmt.Sprintf("m%d-%d", m.id, m.n)
}

// live is one connection's life.
func (m *marker) live() error {
	if m.rng.IntN(2) == 0 {
		return m.liveRaw()
	}
	return m.livePgx()
}

// modes are pgx's ways to run a query: the simple protocol, the unnamed
// statement, and named ones.
var modes = []pgx.QueryExecMode{
	pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeDescribeExec,
	pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe,
}

func (m *marker) livePgx() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	host, port, _ := net.SplitHostPort(m.door.address)
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%s user=acme dbname=acme sslmode=disable", host, port))
	if err != nil {
		return err
	}
	config.Password = secret
	config.DefaultQueryExecMode = modes[m.rng.IntN(len(modes))]
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for range 1 + m.rng.IntN(20) {
		if err := m.stepPgx(ctx, c); err != nil {
			return err
		}
	}
	switch m.rng.IntN(3) {
	case 0: // Terminate, by the defer
	case 1:
		abort(c.PgConn().Conn())
	case 2: // inside a transaction
		v := m.next()
		m.never = append(m.never, v)
		tx, err := c.Begin(ctx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "insert into marker values ($1, $2)", m.id, v); err != nil {
			return err
		}
		abort(c.PgConn().Conn())
	}
	return nil
}

func abort(nc net.Conn) {
	nc.(*net.TCPConn).SetLinger(0)
	nc.Close()
}

func (m *marker) stepPgx(ctx context.Context, c *pgx.Conn) error {
	v := m.next()
	const insert = "insert into marker values ($1, $2)"
	switch m.rng.IntN(6) {
	case 0:
		if _, err := c.Exec(ctx, insert, m.id, v); err != nil {
			return err
		}
		m.kept = append(m.kept, v)
	case 1:
		return m.transaction(ctx, c, v)
	case 2: // an error behind the insert undoes it
		m.never = append(m.never, v)
		b := &pgx.Batch{}
		b.Queue(insert, m.id, v)
		b.Queue("select 1/0")
		if err := c.SendBatch(ctx, b).Close(); state(err) != "22012" {
			return fmt.Errorf("a division by zero gave %w", err)
		}
	case 3:
		if _, err := c.CopyFrom(ctx, pgx.Identifier{"marker"}, []string{"client", "value"}, pgx.CopyFromRows([][]any{{m.id, v}})); err != nil {
			return err
		}
		m.kept = append(m.kept, v)
	case 4:
		var got string
		if err := c.QueryRow(ctx, "select $1::text", v).Scan(&got); err != nil {
			return err
		} else if got != v {
			return fmt.Errorf("client %d asked for %q and got %q", m.id, v, got)
		}
	case 5:
		rows, err := c.Query(ctx, "select client, value from marker where client = $1 order by value desc limit 20", m.id)
		if err != nil {
			return err
		}
		var client int
		var value string
		_, err = pgx.ForEachRow(rows, []any{&client, &value}, func() error {
			if client != m.id || !strings.HasPrefix(value, fmt.Sprintf("m%d-", m.id)) {
				return fmt.Errorf("client %d read a row of client %d: %s", m.id, client, value)
			}
			return nil
		})
		return err
	}
	return nil
}

func (m *marker) transaction(ctx context.Context, c *pgx.Conn, v string) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "insert into marker values ($1, $2)", m.id, v); err != nil {
		return err
	}
	var seen bool
	if err := tx.QueryRow(ctx, "select exists (select from marker where value = $1)", v).Scan(&seen); err != nil {
		return err
	} else if !seen {
		return fmt.Errorf("client %d does not see its own %s", m.id, v)
	}
	if m.rng.IntN(2) == 0 {
		m.never = append(m.never, v)
		return tx.Rollback(ctx)
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	m.kept = append(m.kept, v)
	return nil
}

// liveRaw goes away in the middle of messages, pipelines and COPY.
func (m *marker) liveRaw() error {
	r, err := m.door.tryRaw("acme")
	if err != nil {
		return err
	}
	defer r.Close()
	for range 1 + m.rng.IntN(10) {
		v := m.next()
		insert := fmt.Sprintf("insert into marker values (%d, '%s') returning value", m.id, v)
		var got []string
		if m.rng.IntN(2) == 0 {
			got, err = r.talk(query(insert))
		} else {
			got, err = r.talk(parse("", insert), bind(""), execute, syncMsg)
			got = got[min(2, len(got)):]
		}
		if err != nil || len(got) == 0 || got[0] != "row "+v {
			return fmt.Errorf("client %d inserted %s and got %q, %w", m.id, v, got, err)
		}
		m.kept = append(m.kept, v)
	}
	return m.leaveRaw(r)
}

func (m *marker) leaveRaw(r *raw) error {
	v := m.next()
	insert := fmt.Sprintf("insert into marker values (%d, '%s')", m.id, v)
	var err error
	switch m.rng.IntN(7) {
	case 0: // whether it was run is open
		err = r.send(query(insert), terminate)
	case 1:
		m.never = append(m.never, v)
		err = r.send(query("begin"), query(insert), query("select pg_sleep(0.01)"))
	case 2:
		m.never = append(m.never, v)
		err = r.send(parse("", insert), bind(""), execute, parse("", "select 1"))
	case 3:
		m.never = append(m.never, v)
		if err = r.send(query("copy marker from stdin")); err == nil {
			err = r.send(&pgproto3.CopyData{Data: fmt.Appendf(nil, "%d\t%s\n", m.id, v)})
		}
	case 4: // half a message
		m.never = append(m.never, v)
		_, err = io.WriteString(r.Conn, "Q\x00\x00\x00\xff"+insert)
	case 5:
		err = r.send(query("select repeat('x', 1000) from generate_series(1, 2000)"))
	case 6:
		m.kept = append(m.kept, v)
		var got []string
		if got, err = r.talk(query("begin"), query(insert), query("commit")); err == nil && r.status != 'I' {
			err = fmt.Errorf("%q", got)
		}
	}
	switch m.rng.IntN(3) {
	case 0:
		r.reset()
	case 1:
		r.send(terminate)
	}
	return err
}

// TestSoakMarkerRows has 100 clients write and read through 5 servers, with
// random ends, and never see another's row.
func TestSoakMarkerRows(t *testing.T) {
	h := startHouse(t)
	h.sql(t, "create table marker (client int, value text)", "create index on marker (client)", "grant all on marker to acme")
	d := h.open(t, poolSize(5))
	d.raw(t).Close()
	goroutines := runtime.NumGoroutine()
	end := time.Now().Add(soakTime(t, 8*time.Second))
	markers := make([]*marker, 100)
	var wg sync.WaitGroup
	for i := range markers {
		m := &marker{door: d, id: i, rng: rand.New(rand.NewPCG(uint64(i), 1))}
		markers[i] = m
		wg.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				if err := m.live(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	most := 0
	for time.Now().Before(end) && !t.Failed() {
		most = max(most, h.backends(t))
	}
	wg.Wait()
	if most > 5 {
		t.Errorf("%d backends at once, pool_size is 5", most)
	}
	d.atRest(t)
	if p := d.pool("acme"); p.ServersIdle > 5 || p.ClientsActive+p.ClientsIdle != 0 {
		t.Errorf("the pool is left with %+v", p)
	}
	if !poll(func() bool { return runtime.NumGoroutine() <= goroutines }) {
		t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
	}
	audit(t, h, markers)
	t.Logf("%+v", d.pool("acme").Counters)
}

// audit compares the table with the ledgers.
func audit(t *testing.T, h *house, markers []*marker) {
	t.Helper()
	var kept, never []string
	for _, m := range markers {
		kept, never = append(kept, m.kept...), append(never, m.never...)
	}
	if len(kept) < 100 || len(never) < 50 {
		t.Fatalf("only %d rows were committed and %d rolled back", len(kept), len(never))
	}
	lost := ask[[]string](t, h, "select coalesce(array_agg(v), '{}') from unnest($1::text[]) v where not exists (select from marker where value = v)", kept)
	ghosts := ask[[]string](t, h, "select coalesce(array_agg(value), '{}') from marker where value = any ($1::text[])", never)
	foreign := ask[int](t, h, "select count(*) from marker where value not like 'm' || client || '-%'")
	twice := ask[int](t, h, "select count(*) from (select from marker group by value having count(*) > 1) x")
	if len(lost)+len(ghosts)+foreign+twice > 0 {
		t.Errorf("of %d committed rows are lost: %q; of %d rolled back are there: %q; of the wrong client: %d; twice: %d",
			len(kept), lost, len(never), ghosts, foreign, twice)
	}
}

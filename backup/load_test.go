package backup_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// tables is what there is to be in a database: each table's rows, by key.
type tables map[string]map[int64]int64

// change is one thing that a transaction does to a table.
type change struct {
	do       doing
	table    string
	from, to int64 // keys
	value    int64
}

type doing uint8

const (
	create doing = iota // a table
	drop                // a table
	cut                 // TRUNCATE
	put                 // rows, new or not
	remove              // rows
)

func (c change) sql() string {
	switch c.do {
	case create:
		return "create table " + c.table + " (n bigint primary key, v bigint not null, filler text not null)"
	case drop:
		return "drop table " + c.table
	case cut:
		return "truncate " + c.table
	case remove:
		return fmt.Sprintf("delete from %s where n between %d and %d", c.table, c.from, c.to)
	}
	return fmt.Sprintf("insert into %s select n, %d, %s from generate_series(%d, %d) n on conflict (n) do update set v = excluded.v, filler = excluded.filler",
		c.table, c.value, filler(fmt.Sprint(c.value)), c.from, c.to)
}

// filler is what is in a row beside its key and value, and follows from the value.
func filler(value string) string { return "repeat(md5((" + value + ")::bigint::text), 5)" }

func (t tables) apply(c change) {
	switch c.do {
	case create, cut:
		t[c.table] = map[int64]int64{}
	case drop:
		delete(t, c.table)
	case put:
		for n := c.from; n <= c.to; n++ {
			t[c.table][n] = c.value
		}
	case remove:
		for n := c.from; n <= c.to; n++ {
			delete(t[c.table], n)
		}
	}
}

// op is one transaction of a writer.
type op struct {
	seq     int64
	xid     uint64
	changes []change
	outcome outcome
}

type outcome uint8

const (
	unknown    outcome = iota // the connection has gone before the answer
	acked                     // the server has said that it is committed
	committed                 // the server was asked later, and has it
	rolledBack                // nobody wanted it
	lost                      // the server does not have it
)

// counts reports whether it is committed.
func (o *op) counts() bool { return o.outcome == acked || o.outcome == committed }

// writer writes to tables of its own in one database, one transaction after the other,
// and remembers what it has done: its log is outside of the server.
type writer struct {
	database, name string
	url            string
	failover       *atomic.Bool // what was acknowledged may be lost
	random         *rand.Rand
	stop           atomic.Bool
	ended          chan struct{}

	// The goroutine's own until it has ended.
	ops   []*op
	now   tables // by what is known to be committed
	seq   int64
	made  int64 // tables
	keys  int64 // in the ledger
	wrong []string
}

func (w *writer) table(kind string) string { return w.name + "_" + kind }

// run writes until it is told to stop, whatever happens to the server.
func (w *writer) run() {
	defer close(w.ended)
	for !w.stop.Load() {
		if err := w.connected(); err != nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
	// What the last transaction has come to must be known.
	for n := len(w.ops); n > 0 && w.ops[n-1].outcome == unknown; time.Sleep(100 * time.Millisecond) {
		if conn, err := w.connect(); err == nil {
			_ = w.settle(conn)
			_ = conn.Close(context.Background())
		}
	}
}

func (w *writer) connect() (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	config, err := pgx.ParseConfig(w.url)
	if err != nil {
		return nil, err
	}
	config.Database = w.database
	return pgx.ConnectConfig(ctx, config)
}

func (w *writer) connected() error {
	conn, err := w.connect()
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	if err := w.settle(conn); err != nil {
		return err
	}
	for !w.stop.Load() {
		if err := w.transact(conn); err != nil {
			return err
		}
		time.Sleep(time.Duration(w.random.IntN(30)) * time.Millisecond)
	}
	return nil
}

// settle finds out what the server has of that whose outcome is not known.
func (w *writer) settle(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var there bool
	if err := conn.QueryRow(ctx, "select to_regclass($1) is not null", w.table("seq")).Scan(&there); err != nil {
		return err
	}
	last := int64(0)
	if there {
		if err := conn.QueryRow(ctx, "select v from "+w.table("seq")).Scan(&last); err != nil {
			return err
		}
	}
	again := false
	for _, o := range w.ops {
		switch {
		case o.outcome == rolledBack || o.outcome == lost:
		case o.seq > last:
			if o.outcome != unknown {
				again = true
				if !w.failover.Load() {
					w.wrong = append(w.wrong, fmt.Sprintf("the server has lost transaction %d of %s in %s, which it had committed", o.seq, w.name, w.database))
				}
			}
			o.outcome = lost
		case o.outcome == unknown:
			o.outcome = committed
			w.apply(o)
		}
	}
	if again {
		w.now = w.upTo(func(*op) bool { return true })
	}
	return nil
}

func (w *writer) apply(o *op) {
	for _, c := range o.changes {
		w.now.apply(c)
	}
}

// upTo returns what there is to be of the writer's tables after those of its transactions
// that are committed and in.
func (w *writer) upTo(in func(*op) bool) tables {
	t := tables{}
	for _, o := range w.ops {
		if o.counts() && in(o) {
			for _, c := range o.changes {
				t.apply(c)
			}
		}
	}
	return t
}

// transact makes one transaction.
func (w *writer) transact(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if w.seq > 0 && w.random.IntN(40) == 0 { // sets bits of the visibility map, which WAL is about
		_, err := conn.Exec(ctx, "vacuum (freeze) "+w.table("cold"))
		return err
	}
	w.seq++
	o := &op{seq: w.seq, changes: w.choose()}
	var statements []string
	for _, c := range o.changes {
		statements = append(statements, c.sql())
	}
	if w.random.IntN(10) == 0 {
		statements = append(statements, "savepoint s", "update "+w.table("account")+" set v = -1 where n < 20", "rollback to s")
	}
	if _, err := conn.Exec(ctx, "begin"); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "select pg_current_xact_id()::text::bigint").Scan(&o.xid); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, strings.Join(statements, ";")); err != nil {
		if conn.IsClosed() {
			return err
		}
		w.wrong = append(w.wrong, fmt.Sprintf("%s in %s: %v", w.name, w.database, err))
		return err
	}
	w.ops = append(w.ops, o)
	if w.random.IntN(25) == 0 {
		o.outcome = rolledBack
		_, err := conn.Exec(ctx, "rollback")
		return err
	}
	if _, err := conn.Exec(ctx, "commit"); err != nil {
		return err
	}
	o.outcome = acked
	w.apply(o)
	return nil
}

// choose thinks of something to do.
func (w *writer) choose() (changes []change) {
	r := w.random
	row := func(kind string, n int64) change { return change{put, w.table(kind), n, n, w.seq} }
	if len(w.now) == 0 {
		for _, kind := range []string{"seq", "account", "ledger", "bin", "cold"} {
			changes = append(changes, change{do: create, table: w.table(kind)})
		}
		return append(changes, row("seq", 1), change{put, w.table("account"), 1, 300, 0}, change{put, w.table("cold"), 1, 2000, 0})
	}
	changes = append(changes, row("seq", 1))
	switch n := r.IntN(100); {
	case n < 60:
		w.keys++
		changes = append(changes, row("ledger", w.keys), row("account", 1+r.Int64N(300)), row("account", 1+r.Int64N(300)))
	case n < 70:
		from := 1 + r.Int64N(250)
		changes = append(changes, change{put, w.table("account"), from, from + 50, w.seq})
	case n < 74:
		to := w.keys + 200 + r.Int64N(1500)
		changes = append(changes, change{put, w.table("ledger"), w.keys + 1, to, w.seq})
		w.keys = to
	case n < 80:
		from := 1 + r.Int64N(max(w.keys, 1))
		changes = append(changes, change{remove, w.table("ledger"), from, from + 1000, 0})
	case n < 85:
		changes = append(changes, change{do: cut, table: w.table("bin")})
	case n < 92:
		from := r.Int64N(1000)
		changes = append(changes, change{put, w.table("bin"), from, from + 20, w.seq})
	case n < 95:
		w.made++
		name := fmt.Sprintf("made%d", w.made)
		changes = append(changes, change{do: create, table: w.table(name)}, change{put, w.table(name), 1, 5, w.seq})
	case n < 97:
		for _, table := range slices.Sorted(maps.Keys(w.now)) {
			if strings.HasPrefix(table, w.table("made")) {
				return append(changes, change{do: drop, table: table})
			}
		}
	default:
		changes = append(changes, row("cold", 1+r.Int64N(2000)))
	}
	return changes
}

// load is all writers, and the databases that come and go.
type load struct {
	t        testing.TB
	url      string
	random   *rand.Rand
	failover atomic.Bool

	mu      sync.Mutex
	writers []*writer
}

const writersEach = 2 // in a database

// start starts writers in a database.
func (l *load) start(database string) (started []*writer) {
	for i := range writersEach {
		w := &writer{
			database: database, name: fmt.Sprintf("w%d", i+1), url: l.url, failover: &l.failover, ended: make(chan struct{}), now: tables{},
			random: rand.New(rand.NewPCG(l.random.Uint64(), 2)),
		}
		started = append(started, w)
		go w.run()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writers = append(l.writers, started...)
	return started
}

// stop stops all writers, and says how many transactions were committed.
func (l *load) stop() (transactions int) {
	l.t.Helper()
	for _, w := range l.writers {
		w.stop.Store(true)
	}
	for _, w := range l.writers {
		<-w.ended
		for _, wrong := range w.wrong {
			l.t.Error(wrong)
		}
		for _, o := range w.ops {
			if o.counts() {
				transactions++
			}
		}
	}
	return transactions
}

// upTo returns what there is to be in a database.
func (l *load) upTo(database string, in func(*op) bool) tables {
	all := tables{}
	for _, w := range l.writers {
		if w.database == database {
			maps.Copy(all, w.upTo(in))
		}
	}
	return all
}

// read reads all tables of a database.
func read(ctx context.Context, url string) (tables, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(ctx, "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'")
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	all := tables{}
	for _, name := range names {
		if all[name], err = readTable(ctx, conn, name); err != nil {
			return nil, fmt.Errorf("table %s: %w", name, err)
		}
	}
	return all, nil
}

func readTable(ctx context.Context, conn *pgx.Conn, name string) (map[int64]int64, error) {
	rows, err := conn.Query(ctx, "select n, v, filler = "+filler("v")+" from "+name)
	if err != nil {
		return nil, err
	}
	all := map[int64]int64{}
	var n, v int64
	var whole bool
	_, err = pgx.ForEachRow(rows, []any{&n, &v, &whole}, func() error {
		if _, twice := all[n]; twice || !whole {
			return fmt.Errorf("row %d is there twice, or not whole", n)
		}
		all[n] = v
		return nil
	})
	return all, err
}

// differ says how what is there is not what is to be there; "" is that it is.
func differ(got, want tables) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] == nil {
			return fmt.Sprintf("table %s is missing", name)
		}
		for _, n := range slices.Sorted(maps.Keys(want[name])) {
			if v, ok := got[name][n]; !ok || v != want[name][n] {
				return fmt.Sprintf("row %d of table %s is %d (%t), not %d", n, name, v, ok, want[name][n])
			}
		}
		for n := range got[name] {
			if _, ok := want[name][n]; !ok {
				return fmt.Sprintf("row %d of table %s, %d, should not be there", n, name, got[name][n])
			}
		}
	}
	for name := range got {
		if want[name] == nil {
			return fmt.Sprintf("table %s should not be there", name)
		}
	}
	return ""
}

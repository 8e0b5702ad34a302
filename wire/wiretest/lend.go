package wiretest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"howdah/wire/postgres"
)

// Lender lends servers to the tests of a package, so that not each test makes its own.
// Its zero value has none. TestMain closes it when all tests have run.
type Lender struct {
	mu   sync.Mutex
	free []*lent
	all  []*lent
}

// lent is a server, and the folders that go with it.
type lent struct {
	*postgres.Server
	folders []string
}

// Lend returns a server such as StartPostgres starts, which nobody else has until the test
// has ended. It is as good as new, but for its system identifier, its OIDs and its log:
// what a test leaves in it is removed before the next gets it. A server that is not left
// running, whose test has failed, or in which something is left that is not looked for, is
// lent no more.
func (l *Lender) Lend(tb testing.TB) *postgres.Server {
	tb.Helper()
	s := l.take()
	if s == nil {
		var err error
		if s, err = startLent(FindPostgres(tb)); err != nil {
			tb.Fatalf("make a PostgreSQL server: %v", err)
		}
		l.mu.Lock()
		l.all = append(l.all, s)
		l.mu.Unlock()
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			logTail(tb, s.Log())
			s.Kill()
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := empty(ctx, s.Server); err != nil {
			tb.Logf("the server is not lent again: %v", err)
			s.Kill()
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.free = append(l.free, s)
	})
	return s.Server
}

func (l *Lender) take() *lent {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.free) - 1
	if last < 0 {
		return nil
	}
	s := l.free[last]
	l.free = l.free[:last]
	return s
}

// Close ends all servers.
func (l *Lender) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, s := range l.all {
		s.Kill()
		errs = append(errs, s.remove())
	}
	l.free, l.all = nil, nil
	return errors.Join(errs...)
}

func startLent(binaries postgres.Binaries) (s *lent, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := serverDir()
	if err != nil {
		return nil, err
	}
	s = &lent{folders: []string{dir}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove())
		}
	}()
	sockets, err := postgres.MakeSocketDir(filepath.Join(dir, "run"))
	if err != nil {
		return nil, err
	}
	s.folders = append(s.folders, sockets)
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if s.Server, err = initServer(ctx, binaries, dir, sockets, port, nil); err != nil {
		return nil, err
	}
	return s, s.Start(ctx)
}

func (s *lent) remove() error {
	var errs []error
	for _, dir := range s.folders {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

// What a test may leave, each as a query for statements that remove it.
const (
	openDatabases = `select format('alter database %I allow_connections true is_template false', datname) from pg_database
		where datname not in ('postgres', 'template0', 'template1') and not (datallowconn and not datistemplate) and datconnlimit <> -2`
	endSessions = `select format('select pg_terminate_backend(%s)', pid) from pg_stat_activity
		where pid <> pg_backend_pid() and backend_type in ('client backend', 'walsender')`
	dropSlots     = `select format('select pg_drop_replication_slot(%L)', slot_name) from pg_replication_slots`
	dropDatabases = `select format('drop database %I with (force)', datname) from pg_database where datname not in ('postgres', 'template0', 'template1')`
	disownRoles   = `select format('drop owned by %I', rolname) from pg_roles where oid >= 16384`
	dropRoles     = `select format('drop role %I', rolname) from pg_roles where oid >= 16384`
)

// leftQuery counts what is left, of what a server has none when it is new.
const leftQuery = `select concat_ws(', ',
	(select 'databases' from pg_database where oid >= 16384 limit 1),
	(select 'rights on databases or none to connect' from pg_database where datname = 'postgres' and (datacl <> acldefault('d', datdba) or not datallowconn or datconnlimit <> -1)
		or datname like 'template_' and (datacl::text <> (array[format('=c/%s', datdba::regrole), format('%s=CTc/%s', datdba::regrole, datdba::regrole)])::text or not datistemplate) limit 1),
	(select 'roles' from pg_roles where oid >= 16384 limit 1),
	(select 'settings' from pg_db_role_setting limit 1),
	(select 'settings of the system' from pg_file_settings where sourcefile like '%postgresql.auto.conf' limit 1),
	(select 'objects in database postgres: ' || min(relname) from pg_class where oid >= 16384 having count(*) > 0),
	(select 'schemas in database postgres' from pg_namespace where oid >= 16384 and nspname !~ '^pg_' limit 1),
	(select 'functions in database postgres' from pg_proc where oid >= 16384 limit 1),
	(select 'slots' from pg_replication_slots limit 1),
	(select 'subscriptions' from pg_subscription limit 1),
	(select 'prepared transactions' from pg_prepared_xacts limit 1),
	(select 'tablespaces' from pg_tablespace where oid >= 16384 limit 1))`

// empty removes what a test has left in a server.
func empty(ctx context.Context, s *postgres.Server) error {
	if !s.Running() {
		return errors.New("it does not run")
	}
	if err := removeAll(ctx, s, openDatabases); err != nil {
		return err
	}
	if err := dropSubscriptions(ctx, s); err != nil {
		return err
	}
	for _, query := range []string{endSessions, dropSlots, dropDatabases, disownRoles, dropRoles} {
		if err := removeAll(ctx, s, query); err != nil {
			return err
		}
	}
	var left string
	if err := s.QueryRow(ctx, postgres.Superuser, leftQuery, nil, &left); err != nil {
		return err
	}
	if left != "" {
		return fmt.Errorf("it has %s", left)
	}
	return nil
}

// removeAll runs the statements that a query returns. It tries again for a moment: a
// session that was ended may not be gone yet.
func removeAll(ctx context.Context, s *postgres.Server, query string) error {
	for tries := 0; ; tries++ {
		var statements []string
		err := s.QueryRow(ctx, postgres.Superuser, "select coalesce(array_agg(x.sql), '{}') from ("+query+") x(sql)", nil, &statements)
		if err == nil && len(statements) > 0 {
			err = s.Exec(ctx, postgres.Superuser, statements...)
		}
		if err == nil || tries == 20 {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// dropSubscriptions removes subscriptions, which keep their databases from being dropped,
// and leaves the slots that they have elsewhere.
func dropSubscriptions(ctx context.Context, s *postgres.Server) error {
	var all []string // database/subscription
	err := s.QueryRow(ctx, postgres.Superuser, "select coalesce(array_agg(datname || '/' || subname), '{}') from pg_subscription join pg_database d on d.oid = subdbid", nil, &all)
	if err != nil {
		return err
	}
	for _, one := range all {
		database, name, _ := strings.Cut(one, "/")
		err := s.Exec(ctx, database, fmt.Sprintf("alter subscription %q disable", name), fmt.Sprintf("alter subscription %q set (slot_name = none)", name), fmt.Sprintf("drop subscription %q", name))
		if err != nil {
			return err
		}
	}
	return nil
}

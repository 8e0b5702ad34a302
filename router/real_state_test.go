package router_test

import (
	"testing"

	"howdah/router"
)

// cleanState is what a client sees of a server that holds nothing of others'.
const cleanState = `select current_setting('work_mem'), current_setting('role'), session_user,
	coalesce(nullif(current_setting('my.own', true), ''), 'none'), current_setting('search_path'),
	current_setting('default_transaction_isolation'), current_setting('TimeZone'),
	(select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
	(select count(*) from pg_class where relnamespace = pg_my_temp_schema()),
	(select count(*) from pg_cursors), (select count(*) from pg_prepared_statements where from_sql),
	(select count(*) from pg_listening_channels())`

// turn is one thing that a client does: what it gets for it, and why it keeps
// its server afterwards.
type turn struct{ sql, want, pinned string }

// stories are of state that outlives transactions. In front of each turn
// another client uses the only server, unless it is pinned.
var stories = map[string][]turn{
	"SET": {
		{"set work_mem = '7MB'", "SET; ready I", ""},
		{"show work_mem", "row 7MB; SHOW; ready I", ""},
		{"begin; set work_mem = '8MB'; rollback", "BEGIN; SET; ROLLBACK; ready I", ""},
		{"show work_mem", "row 7MB; SHOW; ready I", ""},
		{"begin; savepoint a; set work_mem = '9MB'; rollback to a; commit", "BEGIN; SAVEPOINT; SET; ROLLBACK; COMMIT; ready I", ""},
		{"show work_mem", "row 7MB; SHOW; ready I", ""},
		{"set work_mem = '8MB'; select 1/0", "SET; error 22012; ready I", ""},
		{"show work_mem", "row 7MB; SHOW; ready I", ""},
		{"begin; set local work_mem = '9MB'; commit", "BEGIN; SET; COMMIT; ready I", ""},
		{"set work_mem = 'much'", "error 22023; ready I", ""},
		{"show work_mem", "row 7MB; SHOW; ready I", ""},
		{"reset work_mem", "RESET; ready I", ""},
		{"show work_mem", "row 4MB; SHOW; ready I", ""},
		{"set nonsense = 1", "error 42704; ready I", ""},
	},
	"settings by other words": {
		{"select set_config('work_mem', '7MB', false)", "row 7MB; SELECT 1; ready I", ""},
		{"select set_config('work_mem', '8MB', true)", "row 8MB; SELECT 1; ready I", ""},
		{"set session characteristics as transaction isolation level repeatable read", "SET; ready I", ""},
		{"set my.own = 'it''s'", "SET; ready I", ""},
		{"set search_path = 'a, b', c", "SET; ready I", ""},
		{"set time zone 'Asia/Tokyo'", "SET; TimeZone=Asia/Tokyo; ready I", ""},
		{
			"select current_setting('work_mem'), current_setting('default_transaction_isolation'), current_setting('my.own'), current_setting('search_path'), current_setting('TimeZone')",
			"row 7MB|repeatable read|it's|\"a, b\", c|Asia/Tokyo; SELECT 1; ready I", "",
		},
		{"discard all", "DISCARD ALL; TimeZone=Etc/UTC; ready I", ""},
		{"select current_setting('work_mem'), current_setting('TimeZone')", "row 4MB|Etc/UTC; SELECT 1; ready I", ""},
		{"set work_mem = '7MB'", "SET; ready I", ""},
		{"reset all", "RESET; ready I", ""},
		{"show work_mem", "row 4MB; SHOW; ready I", ""},
		{"do $$begin perform set_config('work_mem', '7' || 'MB', false); end$$", "DO; ready I", ""},
		{"show work_mem", "row 7MB; SHOW; ready I", ""},
	},
	"computed name": {
		{"select set_config('work' || '_mem', '7MB', false)", "row 7MB; SELECT 1; ready I", "setting with a computed name"},
		{"discard all", "DISCARD ALL; ready I", ""},
	},
	"SET ROLE": {
		{"set role other", "SET; ready I", ""},
		{"select current_user, session_user", "row other|acme; SELECT 1; ready I", ""},
		{"set work_mem = '7MB'", "SET; ready I", ""},
		{"reset all", "RESET; ready I", ""},
		{"select current_user", "row other; SELECT 1; ready I", ""},
		{"set role nobody", "error 22023; ready I", ""},
		{"select current_user", "row other; SELECT 1; ready I", ""},
		{"reset role", "RESET; ready I", ""},
		{"select current_user", "row acme; SELECT 1; ready I", ""},
		{"set session authorization other", "error 42501; ready I", ""},
	},
	"advisory locks": {
		{"select pg_advisory_lock(1) is null", "row f; SELECT 1; ready I", "advisory lock"},
		{"select 1", "row 1; SELECT 1; ready I", "advisory lock"},
		{"select pg_advisory_unlock(1)", "row t; SELECT 1; ready I", ""},
		{"select pg_try_advisory_lock_shared(2)", "row t; SELECT 1; ready I", "advisory lock"},
		{"begin; select pg_advisory_unlock_all() is null; rollback", "BEGIN; row f; SELECT 1; ROLLBACK; ready I", ""},
		{"select pg_advisory_xact_lock(1) is null", "row f; SELECT 1; ready I", ""},
		{"select pg_advisory_lock(3) is null", "row f; SELECT 1; ready I", "advisory lock"},
		{"discard all", "DISCARD ALL; ready I", ""},
	},
	"temporary tables": {
		{"create temp table mine (n int)", "CREATE TABLE; ready I", "temporary object"},
		{"insert into mine values (1)", "INSERT 0 1; ready I", "temporary object"},
		{"drop table mine", "DROP TABLE; ready I", ""},
		{"begin; create temporary table mine on commit drop as select 1; commit", "BEGIN; SELECT 1; COMMIT; ready I", ""},
		{"begin; create temp table mine (n int); rollback", "BEGIN; CREATE TABLE; ROLLBACK; ready I", ""},
		{"select 1 as n into temp mine", "SELECT 1; ready I", "temporary object"},
		{"discard temp", "DISCARD TEMP; ready I", ""},
		{"create function pg_temp.mine() returns int language sql as 'select 1'", "CREATE FUNCTION; ready I", "temporary object"},
		{"discard all", "DISCARD ALL; ready I", ""},
	},
	"cursors with hold": {
		{"declare c cursor with hold for select 1", "DECLARE CURSOR; ready I", "cursor with hold"},
		{"fetch c", "row 1; FETCH 1; ready I", "cursor with hold"},
		{"close c", "CLOSE CURSOR; ready I", ""},
		{"close all", "CLOSE CURSOR ALL; ready I", ""},
	},
	"PREPARE": {
		{"prepare p as select 41 + $1", "PREPARE; ready I", "prepared by SQL"},
		{"execute p(1)", "row 42; SELECT 1; ready I", "prepared by SQL"},
		{"deallocate p", "DEALLOCATE; ready I", ""},
		{"execute p(1)", "error 26000; ready I", ""},
		{"prepare p as select 1", "PREPARE; ready I", "prepared by SQL"},
		{"deallocate all", "DEALLOCATE ALL; ready I", ""},
	},
	"several reasons": {
		{"select pg_advisory_lock(1) is null; create temp table mine ()", "row f; SELECT 1; CREATE TABLE; ready I", "temporary object"},
		{"select pg_advisory_unlock(1)", "row t; SELECT 1; ready I", "temporary object"},
		{"select pg_advisory_lock(1) is null", "row f; SELECT 1; ready I", "advisory lock"},
		{"drop table mine", "DROP TABLE; ready I", "advisory lock"},
		{"select pg_advisory_unlock(1)", "row t; SELECT 1; ready I", ""},
	},
	"LISTEN among other statements": {
		{"listen news; select 1", "LISTEN; row 1; SELECT 1; ready I", "listen"},
		{"unlisten *", "UNLISTEN; ready I", ""},
	},
	"sequences": {
		{"select currval('numbers')", "error 55000; ready I", ""},
		{"select nextval('numbers') > 0, currval('numbers') > 0", "row t|t; SELECT 1; ready I", "sequence value"},
		{"select lastval() > 0", "row t; SELECT 1; ready I", "sequence value"},
		{"discard all", "DISCARD ALL; ready I", ""},
	},
	"setseed": {
		{"select setseed(0.5) is null", "row f; SELECT 1; ready I", "setseed"},
		{"select random() between 0 and 1", "row t; SELECT 1; ready I", "setseed"},
	},
	"hidden in a DO": {
		{"do $$begin perform pg_advisory_lock(7); end$$", "DO; ready I", "advisory lock"},
		{"do $$begin execute 'create temp table mine ()'; end$$", "DO; ready I", "temporary object"},
		{"drop table mine; select pg_advisory_unlock_all() is null", "DROP TABLE; row f; SELECT 1; ready I", ""},
	},
}

// TestRealState has clients leave state at servers, in all ways of which
// transaction pooling must take care: it stays theirs, and goes to nobody else.
func TestRealState(t *testing.T) {
	h := startHouse(t)
	h.sql(t, "create role other", "grant other to acme", "create sequence numbers", "grant all on sequence numbers to acme")
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			d := h.open(t, poolSize(1))
			r, other := d.raw(t), d.raw(t)
			clean := other.say(t, query(cleanState))[0]
			for _, turn := range story {
				r.expect(t, turn.want, query(turn.sql))
				if turn.pinned != "" {
					d.await(t, "a pin: "+turn.pinned, func(p router.PoolStats) bool { return p.Pinned[turn.pinned] == 1 })
					continue
				}
				if got := other.say(t, query(cleanState))[0]; got != clean {
					t.Fatalf("after %s another client sees\n%s, not\n%s", turn.sql, got, clean)
				}
				if p := d.pool("acme").Pinned; len(p) != 0 {
					t.Fatalf("after %s: pinned, %v", turn.sql, p)
				}
			}
			r.Close()
			if got := other.say(t, query(cleanState))[0]; got != clean {
				t.Fatalf("after the client left another one sees\n%s, not\n%s", got, clean)
			}
		})
	}
}

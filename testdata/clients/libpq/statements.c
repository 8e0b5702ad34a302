/* Prepared statements, large values, errors, cursors and portals by libpq. */
#include <libpq/libpq-fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

static void describe(const char *label, PGresult *result)
{
	char types[400] = "";
	int i;

	for (i = 0; i < PQnparams(result); i++)
		sprintf(types + strlen(types), " $%d=%u", i + 1, PQparamtype(result, i));
	for (i = 0; i < PQnfields(result); i++)
		sprintf(types + strlen(types), " %s=%u", PQfname(result, i), PQftype(result, i));
	show(label, "%s%s", PQresStatus(PQresultStatus(result)), types);
	PQclear(result);
}

static void many(PGconn *db)
{
	char name[16], sql[64];
	int i, round, sum = 0;

	for (i = 0; i < 300; i++) {
		sprintf(name, "many%d", i);
		sprintf(sql, "select %d", i);
		PQclear(PQprepare(db, name, sql, 0, NULL));
	}
	for (round = 0; round < 2; round++)
		for (i = 299; i >= 0; i--) {
			PGresult *result;

			sprintf(name, "many%d", i);
			result = PQexecPrepared(db, name, 0, NULL, NULL, NULL, 0);
			sum += PQntuples(result) == 1 ? atoi(PQgetvalue(result, 0, 0)) : -1000000;
			PQclear(result);
		}
	show("300 statements", "%d", sum);
}

void prepared(void)
{
	PGconn *db = open_connection(), *other = open_connection();
	const char *values[1] = {"41"};
	int i;

	ask(db, "drop table if exists prep");
	ask(db, "create table prep (n int)");
	show_result("prepare", PQprepare(db, "p", "select $1::int + 1", 0, NULL));
	show_result("same name", PQprepare(db, "p", "select 2", 0, NULL));
	show_result("other's of that name", PQprepare(other, "p", "select 'other'", 0, NULL));
	for (i = 0; i < 8; i++)
		show_result("execute", PQexecPrepared(db, "p", 1, values, NULL, NULL, 0));
	show_result("other's", PQexecPrepared(other, "p", 0, NULL, NULL, NULL, 0));
	describe("describe", PQdescribePrepared(db, "p"));
	ask(db, "select name, statement, from_sql from pg_prepared_statements where name = 'p'");
	ask(db, "execute p (5)");
	show_result("syntax error", PQprepare(db, "bad", "selekt", 0, NULL));
	show_result("was not made", PQexecPrepared(db, "bad", 0, NULL, NULL, NULL, 0));
	show_result("never was", PQdescribePrepared(db, "never"));
	show_result("on a table", PQprepare(db, "t", "select * from prep", 0, NULL));
	show_result("execute", PQexecPrepared(db, "t", 0, NULL, NULL, NULL, 0));
	ask(other, "alter table prep add column s text");
	show_result("changed under it", PQexecPrepared(db, "t", 0, NULL, NULL, NULL, 0));
	ask(db, "deallocate t");
	show_result("gone", PQexecPrepared(db, "t", 0, NULL, NULL, NULL, 0));
	show_result("made anew", PQprepare(db, "t", "select * from prep", 0, NULL));
	describe("describe", PQdescribePrepared(db, "t"));
	ask(db, "begin");
	show_result("in transaction", PQprepare(db, "u", "select 3", 0, NULL));
	ask(db, "rollback");
	show_result("stays", PQexecPrepared(db, "u", 0, NULL, NULL, NULL, 0));
	many(db);
	ask(db, "discard all");
	show_result("discarded", PQexecPrepared(db, "u", 0, NULL, NULL, NULL, 0));
	PQreset(db);
	show_result("after reconnect", PQexecPrepared(db, "p", 1, values, NULL, NULL, 0));
	show_result("prepare", PQprepare(db, "p", "select $1::int + 2", 0, NULL));
	show_result("execute", PQexecPrepared(db, "p", 1, values, NULL, NULL, 0));
	PQfinish(db);
	PQfinish(other);
}

/* large_objects uses the fast-path function call. */
static void large_objects(PGconn *db)
{
	char buffer[1 << 16];
	Oid oid;
	int fd, i, n;
	long total = 0;

	memset(buffer, 'x', sizeof buffer);
	ask(db, "begin");
	oid = lo_creat(db, INV_READ | INV_WRITE);
	fd = lo_open(db, oid, INV_READ | INV_WRITE);
	show("large object", "%d", oid != 0 && fd >= 0);
	for (i = 0; i < 40; i++)
		total += lo_write(db, fd, buffer, sizeof buffer);
	lo_lseek64(db, fd, 0, 0);
	while ((n = lo_read(db, fd, buffer, sizeof buffer)) > 0)
		total -= n;
	show("written and not read", "%ld", total);
	lo_close(db, fd);
	lo_unlink(db, oid);
	ask(db, "commit");
	show("outside a transaction", "%d", lo_open(db, oid, INV_READ));
}

void large(void)
{
	PGconn *db = open_connection();
	size_t size = 10 << 20;
	char *value = malloc(size + 1);
	const char *values[1] = {value};
	int lengths[1] = {(int)size}, binary[1] = {1};
	PGresult *result;

	memset(value, 'v', size);
	value[size] = 0;
	result = PQexecParams(db, "select $1::text", 1, NULL, values, NULL, NULL, 0);
	show("text", "%d", PQgetlength(result, 0, 0) == (int)size && memcmp(PQgetvalue(result, 0, 0), value, size) == 0);
	PQclear(result);
	result = PQexecParams(db, "select $1::bytea", 1, NULL, values, lengths, binary, 1);
	show("binary", "%d", PQgetlength(result, 0, 0) == (int)size && memcmp(PQgetvalue(result, 0, 0), value, size) == 0);
	PQclear(result);
	show_result("long statement name", PQprepare(db, value + size - 10000, "select 1", 0, NULL));
	show_result("execute", PQexecPrepared(db, value + size - 10000, 0, NULL, NULL, NULL, 0));
	show_result("70000 parameters", PQexecParams(db, "select $65536", 0, NULL, NULL, NULL, NULL, 0));
	large_objects(db);
	free(value);
	PQfinish(db);
}

void errors(void)
{
	static const char *const statements[] = {
		"selekt 1", "select * from nowhere", "select 1/0", "insert into err values (1, null)",
		"insert into err values (1, 1), (1, 2)", "select 'x'::int", "select \"", "select $1", "",
		"do $$ begin raise exception 'mine' using errcode = 'HW001', detail = 'the detail', hint = 'the hint'; end $$",
		"do $$ begin execute 'selekt 2'; end $$", "select '\x01\xff'", "copy err from '/nowhere'",
	};
	PGconn *db = open_connection();
	size_t i;

	ask(db, "drop table if exists err");
	ask(db, "create table err (n int primary key, m int not null)");
	for (i = 0; i < sizeof statements / sizeof statements[0]; i++) {
		PGresult *result = PQexec(db, statements[i]);
		char *text = PQresultVerboseErrorMessage(result, PQERRORS_VERBOSE, PQSHOW_CONTEXT_ALWAYS);

		show("simple", "%s", text);
		PQfreemem(text);
		PQclear(result);
		result = PQexecParams(db, statements[i], 0, NULL, NULL, NULL, NULL, 0);
		text = PQresultVerboseErrorMessage(result, PQERRORS_VERBOSE, PQSHOW_CONTEXT_ALWAYS);
		show("extended", "%s", text);
		PQfreemem(text);
		PQclear(result);
	}
	show_result("two by extended", PQexecParams(db, "select 1; select 2", 0, NULL, NULL, NULL, NULL, 0));
	PQfinish(db);
}

void cursors(void)
{
	PGconn *db = open_connection();

	ask(db, "begin");
	show_result("declare", PQexecParams(db, "declare c scroll cursor for select n from generate_series(1, 100) n", 0, NULL, NULL, NULL, NULL, 0));
	describe("describe", PQdescribePortal(db, "c"));
	show_result("fetch", PQexecParams(db, "fetch 3 from c", 0, NULL, NULL, NULL, NULL, 1));
	ask(db, "fetch last from c");
	ask(db, "fetch prior from c");
	ask(db, "commit");
	describe("gone", PQdescribePortal(db, "c"));
	show_result("hold", PQexecParams(db, "declare h cursor with hold for select n from generate_series(1, 100) n", 0, NULL, NULL, NULL, NULL, 0));
	ask(db, "select pg_sleep(0.05)");
	describe("describe", PQdescribePortal(db, "h"));
	show_result("fetch", PQexecParams(db, "fetch 3 from h", 0, NULL, NULL, NULL, NULL, 0));
	ask(db, "close h");
	ask(db, "close h");
	PQfinish(db);
}

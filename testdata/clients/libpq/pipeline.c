/* libpq's pipeline mode: many requests on the way at once, errors among them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

/* take shows the results of one request of a pipeline, up to its NULL. */
static void take(PGconn *db, const char *label)
{
	PGresult *result = PQgetResult(db);

	if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
		show(label, "sync, %d", PQtransactionStatus(db));
		PQclear(result);
		return;
	}
	while (result != NULL) {
		show_result(label, result);
		result = PQgetResult(db);
	}
	show(label, "end");
}

static void send(PGconn *db, const char *sql)
{
	if (!PQsendQueryParams(db, sql, 0, NULL, NULL, NULL, NULL, 0))
		show(sql, "not sent: %s", PQerrorMessage(db));
}

static void error_inside(PGconn *db)
{
	int i;

	PQenterPipelineMode(db);
	send(db, "insert into pipe values (1)");
	send(db, "select n from pipe order by n");
	send(db, "insert into pipe values (1)");
	send(db, "insert into pipe values (2)");
	PQpipelineSync(db);
	send(db, "select count(*) from pipe");
	PQpipelineSync(db);
	for (i = 0; i < 4; i++)
		take(db, "error inside");
	show("aborted", "%d", PQpipelineStatus(db) == PQ_PIPELINE_ABORTED);
	for (i = 0; i < 3; i++)
		take(db, "after it");
	show("left", "%d", PQexitPipelineMode(db));
}

static void transaction_inside(PGconn *db)
{
	static const char *const statements[] = {
		"begin", "insert into pipe values (10)", "select 1/0", "rollback", NULL,
		"select count(*) from pipe", NULL,
		"rollback", NULL,
		"begin isolation level serializable", "show transaction_isolation", "insert into pipe values (11)", "commit", "select count(*) from pipe", NULL,
		"begin", NULL, "insert into pipe values (12)", NULL, "savepoint s", "select 1/0", NULL, "rollback to s", NULL, "commit", NULL,
		"select n from pipe order by n", NULL,
		"set work_mem = '9MB'", "show work_mem", "select 1/0", NULL, "show work_mem", NULL,
		"set work_mem = '9MB'", NULL, "show work_mem", NULL, "reset work_mem", "show work_mem", NULL,
		"begin", "commit", "begin", "rollback", NULL, "commit", NULL, "begin", "begin", "commit", NULL,
	};
	size_t i;

	PQenterPipelineMode(db);
	for (i = 0; i < sizeof statements / sizeof statements[0]; i++)
		if (statements[i] == NULL)
			PQpipelineSync(db);
		else
			send(db, statements[i]);
	for (i = 0; i < sizeof statements / sizeof statements[0]; i++)
		take(db, statements[i] == NULL ? "sync" : statements[i]);
	show("left", "%d", PQexitPipelineMode(db));
}

/* thousands sends without reading until libpq says that it would block. */
static void thousands(PGconn *db)
{
	enum { requests = 5000 };
	const char *values[1];
	char number[16];
	int i, good = 0, bad = 0, aborted = 0, syncs = 0;

	show_result("prepare", PQprepare(db, "thousand", "select $1::int / ($1::int % 1000)", 0, NULL));
	PQenterPipelineMode(db);
	values[0] = number;
	for (i = 1; i <= requests; i++) {
		snprintf(number, sizeof number, "%d", i);
		PQsendQueryPrepared(db, "thousand", 1, values, NULL, NULL, 0);
		if (i % 100 == 0)
			PQpipelineSync(db);
	}
	while (syncs < requests / 100) {
		PGresult *result = PQgetResult(db);

		switch (PQresultStatus(result)) {
		case PGRES_TUPLES_OK: good++; break;
		case PGRES_FATAL_ERROR: bad += result != NULL; break;
		case PGRES_PIPELINE_ABORTED: aborted++; break;
		case PGRES_PIPELINE_SYNC: syncs++; break;
		default: break;
		}
		PQclear(result);
	}
	show("thousands", "%d good, %d bad, %d aborted, %d left", good, bad, aborted, !PQexitPipelineMode(db));
}

static void prepare_inside(PGconn *db)
{
	int i;

	PQenterPipelineMode(db);
	PQsendPrepare(db, "inside", "select 5", 0, NULL);
	PQsendQueryPrepared(db, "inside", 0, NULL, NULL, NULL, 0);
	PQsendDescribePrepared(db, "inside");
	PQsendPrepare(db, "inside", "select 6", 0, NULL);
	PQsendQueryPrepared(db, "inside", 0, NULL, NULL, NULL, 0);
	PQpipelineSync(db);
	PQsendQueryPrepared(db, "inside", 0, NULL, NULL, NULL, 0);
	PQsendPrepare(db, "bad", "selekt", 0, NULL);
	PQsendQueryPrepared(db, "bad", 0, NULL, NULL, NULL, 0);
	PQpipelineSync(db);
	PQsendQueryPrepared(db, "bad", 0, NULL, NULL, NULL, 0);
	PQpipelineSync(db);
	for (i = 0; i < 12; i++)
		take(db, "prepare inside");
	show("left", "%d", PQexitPipelineMode(db));
}

/* flushing asks for results before there is a Sync. */
static void flushing(PGconn *db)
{
	PQenterPipelineMode(db);
	send(db, "select 'before the sync'");
	PQsendFlushRequest(db);
	PQflush(db);
	take(db, "flush");
	send(db, "insert into pipe values (20)");
	PQsendFlushRequest(db);
	PQflush(db);
	take(db, "flush");
	send(db, "insert into pipe values (20)");
	PQpipelineSync(db);
	take(db, "flush");
	take(db, "flush");
	PQexitPipelineMode(db);
	ask(db, "select count(*) from pipe where n = 20");
}

static void row_by_row(PGconn *db)
{
	PGresult *result;
	int rows = 0, i;

	PQenterPipelineMode(db);
	send(db, "select 10 / (900 - n) from generate_series(1, 1000) n");
	send(db, "select 1");
	PQpipelineSync(db);
	for (i = 0; i < 2; i++) {
		if (i == 0)
			PQsetSingleRowMode(db);
		while ((result = PQgetResult(db)) != NULL) {
			if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
				rows++;
				PQclear(result);
			} else
				show_result("row by row", result);
		}
	}
	show("rows before the error", "%d", rows);
	take(db, "row by row");
	PQexitPipelineMode(db);
}

void pipeline(void)
{
	PGconn *db = open_connection();

	ask(db, "drop table if exists pipe");
	ask(db, "create table pipe (n int primary key)");
	error_inside(db);
	transaction_inside(db);
	thousands(db);
	prepare_inside(db);
	flushing(db);
	row_by_row(db);
	ask(db, "select n from pipe order by n");
	PQfinish(db);
}

/* Connecting, COPY, notifications and cancel requests by libpq. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>

#include "client.h"

static void try_connection(const char *options)
{
	PGconn *db = PQconnectdb(options);
	const char *words[] = {"password authentication failed", "does not exist", "certificate verify failed"};
	const char *found = "refused";
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strstr(PQerrorMessage(db), words[i]) != NULL)
			found = words[i];
	show(options, "%s", PQstatus(db) == CONNECTION_OK ? "connected" : found);
	if (PQstatus(db) == CONNECTION_OK)
		ask(db, "select current_setting('application_name'), current_setting('work_mem'), current_setting('default_transaction_read_only')");
	PQfinish(db);
}

void connecting(void)
{
	static const char *const names[] = {
		"server_version", "server_encoding", "client_encoding", "application_name", "is_superuser", "session_authorization", "in_hot_standby",
		"DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes", "standard_conforming_strings", "default_transaction_read_only",
	};
	PGconn *db = PQconnectdb("");
	size_t i;

	show("tls", "%d", PQsslInUse(db));
	show("protocol", "%d", PQprotocolVersion(db));
	show("password used", "%d", PQconnectionUsedPassword(db));
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		show(names[i], "%s", PQparameterStatus(db, names[i]));
	PQfinish(db);
	try_connection("channel_binding=require");
	try_connection("password=wrong");
	try_connection("password=''");
	try_connection("user=nobody");
	try_connection("dbname=clients_nowhere");
	try_connection("sslmode=disable");
	try_connection("sslmode=disable gssencmode=prefer");
	try_connection("hostaddr=127.0.0.1 host=wrong.name");
	try_connection("application_name=mine options='-c work_mem=7MB -c default_transaction_read_only=on'");
	try_connection("options='-c work_mem=much'");
	try_connection("options='-c nothing=1'");
	try_connection("options='--work-mem=6MB'");
	try_connection("client_encoding=latin1");
	try_connection("client_encoding=nonsense");
	try_connection("target_session_attrs=read-write");
	try_connection("target_session_attrs=primary");
	try_connection("target_session_attrs=standby");
	printf("ping: %d\n", PQping(""));
}

static void copy_in(PGconn *db, const char *label, const char *data, const char *problem)
{
	PGresult *result;

	PQclear(PQexec(db, "copy copied from stdin"));
	if (data != NULL)
		PQputCopyData(db, data, (int)strlen(data));
	PQputCopyEnd(db, problem);
	while ((result = PQgetResult(db)) != NULL)
		show_result(label, result);
}

static void copy_out(PGconn *db, const char *sql, int extended)
{
	PGresult *result = extended ? PQexecParams(db, sql, 0, NULL, NULL, NULL, NULL, 0) : PQexec(db, sql);
	long bytes = 0, rows = 0;
	char *row;
	int n;

	show(sql, "%s, %d columns", PQresStatus(PQresultStatus(result)), PQnfields(result));
	PQclear(result);
	while ((n = PQgetCopyData(db, &row, 0)) > 0) {
		bytes += n;
		rows++;
		PQfreemem(row);
	}
	show("taken", "%ld rows, %ld bytes", rows, bytes);
	while ((result = PQgetResult(db)) != NULL)
		show_result("end", result);
}

void copy(void)
{
	PGconn *db = open_connection();
	char *rows = malloc(2 << 20);
	int i, n = 0;

	for (i = 0; i < 50000; i++)
		n += sprintf(rows + n, "%d\trow %d\n", i, i);
	ask(db, "drop table if exists copied");
	ask(db, "create table copied (n int primary key, s text)");
	copy_in(db, "in", rows, NULL);
	copy_in(db, "nothing", NULL, NULL);
	copy_in(db, "bad", "60000\tx\nnonsense\tx\n", NULL);
	copy_in(db, "duplicate", "1\tx\n", NULL);
	copy_in(db, "given up", "60000\tx\n", "I do not want to");
	ask(db, "begin");
	copy_in(db, "in a transaction", "60000\tx\n", NULL);
	copy_in(db, "fails in it", "60000\tx\n", NULL);
	ask(db, "select 1");
	ask(db, "rollback");
	copy_out(db, "copy (select * from copied order by n) to stdout", 0);
	copy_out(db, "copy (select * from copied order by n) to stdout (format binary)", 1);
	copy_out(db, "copy (select 1 / (500 - n) from generate_series(1, 1000) n) to stdout", 0);
	copy_out(db, "copy (select 1 / (500 - n) from generate_series(1, 1000) n) to stdout", 1);
	ask(db, "select count(*) from copied");
	free(rows);
	PQfinish(db);
}

/* heard shows notifications until one has come, or the time is over. */
static void heard(PGconn *db, const char *label, double seconds)
{
	struct timespec now;
	double end;
	int any = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + now.tv_nsec / 1e9 + seconds;
	for (;;) {
		PGnotify *note;
		double left;
		fd_set input;
		struct timeval wait;

		PQconsumeInput(db);
		while ((note = PQnotifies(db)) != NULL) {
			show(label, "%s '%s' own=%d", note->relname, note->extra, note->be_pid == PQbackendPID(db));
			PQfreemem(note);
			any = 1;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = end - (now.tv_sec + now.tv_nsec / 1e9);
		if (any || left <= 0)
			break;
		FD_ZERO(&input);
		FD_SET(PQsocket(db), &input);
		wait.tv_sec = (long)left;
		wait.tv_usec = (long)((left - (long)left) * 1e6);
		select(PQsocket(db) + 1, &input, NULL, NULL, &wait);
	}
	if (!any)
		show(label, "nothing");
}

void notify(void)
{
	PGconn *db = open_connection(), *other = open_connection();

	show_result("listen", PQexecParams(db, "listen \"A b\"", 0, NULL, NULL, NULL, NULL, 0));
	ask(other, "notify \"A b\", 'hello'");
	heard(db, "from other", 5);
	ask(other, "notify \"a b\", 'wrong case'");
	heard(db, "wrong case", 0.3);
	show_result("own", PQexecParams(db, "notify \"A b\"", 0, NULL, NULL, NULL, NULL, 0));
	heard(db, "before the next message", 0);
	ask(db, "begin; notify \"A b\", 'x'; notify \"A b\", 'y'; commit");
	heard(db, "in one message", 0);
	ask(db, "listen fresh; select pg_notify('fresh', 'same message')");
	heard(db, "same message", 0);
	ask(other, "select pg_notify('fresh', n::text) from generate_series(1, 3) n");
	heard(db, "three", 5);
	ask(db, "unlisten fresh");
	ask(other, "notify fresh");
	heard(db, "unlistened", 0.3);
	ask(db, "discard all");
	ask(other, "notify \"A b\", 'not heard'");
	heard(db, "discarded", 0.3);
	PQfinish(db);
	PQfinish(other);
}

static void *cancel_soon(void *arg)
{
	struct timespec soon = {0, 100000000};
	char problem[256];

	nanosleep(&soon, NULL);
	if (!PQcancel(arg, problem, sizeof problem))
		show("cancel", "failed: %s", problem);
	return NULL;
}

static void cancelled(PGconn *db, const char *label, int pipelined)
{
	PGcancel *handle = PQgetCancel(db);
	pthread_t thread;
	PGresult *result;

	pthread_create(&thread, NULL, cancel_soon, handle);
	if (pipelined) {
		PQenterPipelineMode(db);
		PQsendQueryParams(db, "select pg_sleep(30)", 0, NULL, NULL, NULL, NULL, 0);
		PQsendQueryParams(db, "select 1", 0, NULL, NULL, NULL, NULL, 0);
		PQpipelineSync(db);
		while (PQresultStatus(result = PQgetResult(db)) != PGRES_PIPELINE_SYNC)
			show_result(label, result);
		PQclear(result);
		PQexitPipelineMode(db);
	} else
		show_result(label, PQexec(db, "select pg_sleep(30)"));
	pthread_join(thread, NULL);
	PQfreeCancel(handle);
}

void cancel(void)
{
	PGconn *db = open_connection();
	PGcancel *handle = PQgetCancel(db);
	char problem[256];
	int i;

	for (i = 0; i < 5; i++)
		cancelled(db, "simple", 0);
	cancelled(db, "pipeline", 1);
	ask(db, "begin");
	cancelled(db, "in a transaction", 0);
	ask(db, "select 1");
	ask(db, "rollback");
	show("idle", "%d", PQcancel(handle, problem, sizeof problem));
	ask(db, "select 'alive'");
	PQreset(db);
	show("key of a connection that is gone", "%d", PQcancel(handle, problem, sizeof problem));
	ask(db, "select 'alive'");
	PQfreeCancel(handle);
	PQfinish(db);
}

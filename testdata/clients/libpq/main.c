/*
 * libpq by itself, and above all its pipeline mode. One case per run, named on
 * the command line; one line per thing looked at, the same whatever the server's
 * process numbers or time of day are.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

void show(const char *label, const char *format, ...)
{
	va_list args;

	printf("%s: ", label);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void no_notice(void *arg, const PGresult *result)
{
	show("notice", "%s %s", PQresultErrorField(result, PG_DIAG_SQLSTATE), PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

PGconn *open_connection(void)
{
	PGconn *db = PQconnectdb("");

	if (PQstatus(db) != CONNECTION_OK) {
		fprintf(stderr, "connect: %s", PQerrorMessage(db));
		exit(1);
	}
	PQclear(PQexec(db, "set client_min_messages = warning"));
	PQsetNoticeReceiver(db, no_notice, NULL);
	return db;
}

static void show_rows(const PGresult *result)
{
	int row, column;

	for (row = 0; row < PQntuples(result) && row < 10; row++)
		for (column = 0; column < PQnfields(result); column++)
			if (PQgetlength(result, row, column) > 200)
				printf(" (%d bytes)", PQgetlength(result, row, column));
			else
				printf(" %s", PQgetisnull(result, row, column) ? "NULL" : PQgetvalue(result, row, column));
	if (PQntuples(result) > 10)
		printf(" and more, %d in all", PQntuples(result));
}

void show_result(const char *label, PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (result == NULL) {
		show(label, "no result");
		return;
	}
	printf("%s: %s %s", label, PQresStatus(PQresultStatus(result)), PQcmdStatus(result));
	show_rows(result);
	if (state != NULL)
		printf(" %s %s", state, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	putchar('\n');
	fflush(stdout);
	PQclear(result);
}

void ask(PGconn *db, const char *sql)
{
	show_result(sql, PQexec(db, sql));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{"connect", connecting}, {"prepared", prepared}, {"pipeline", pipeline},
		{"copy", copy}, {"notify", notify}, {"cancel", cancel}, {"large", large},
		{"errors", errors}, {"cursors", cursors},
	};
	size_t i;

	for (i = 0; argc == 2 && i < sizeof cases / sizeof cases[0]; i++)
		if (strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			return 0;
		}
	puts("not in this client");
	return 0;
}

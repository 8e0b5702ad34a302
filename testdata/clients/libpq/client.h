/* What the files of the libpq program share; see main.c. */
#ifndef CLIENT_H
#define CLIENT_H

#include <libpq-fe.h>

/* open_connection connects by the PG… variables and exits when that fails. */
PGconn *open_connection(void);

/* show prints one line: the label and the text made from the format. */
void show(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* show_result prints status, command tag, rows and SQLSTATE, and clears it. */
void show_result(const char *label, PGresult *result);

/* ask runs the statement by the simple protocol and shows its result. */
void ask(PGconn *db, const char *sql);

void prepared(void);
void pipeline(void);
void copy(void);
void notify(void);
void cancel(void);
void large(void);
void cursors(void);
void connecting(void);
void errors(void);

#endif

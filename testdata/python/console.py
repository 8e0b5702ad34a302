"""Reads Howdah's console by psycopg2, as Datadog's agent does.

usage: console.py SHOW...

Asks SHOW for each argument on one connection, which is that of the PG...
variables, and prints what it got as JSON in the form of clients/go/console.
"""

import json
import sys

import psycopg2
import psycopg2.extras

TYPES = {20: "INT8", 23: "INT4", 25: "TEXT", 17: "BYTEA", 1700: "NUMERIC"}


def main(shows):
    db = psycopg2.connect("")
    db.set_session(autocommit=True)
    answers = {}
    with db.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
        for show in shows:
            cursor.execute("SHOW " + show)
            answers[show] = {
                "Columns": [c.name for c in cursor.description],
                "Types": [TYPES[c.type_code] for c in cursor.description],
                "Rows": [[plain(v) for v in row] for row in cursor.fetchall()],
            }
            if cursor.statusmessage != "SHOW":
                raise ValueError("SHOW %s ended with %s" % (show, cursor.statusmessage))
    db.close()
    json.dump(answers, sys.stdout)


def plain(value):
    """The value as lib/pq's program has it: numeric as text."""
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)


main(sys.argv[1:])

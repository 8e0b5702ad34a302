"""Other people's traffic: three clients that never stop, each with settings,
prepared statements and a temporary table's name of its own. What leaks from
them into the client under test, or from it into them, shows.

It ends at SIGINT, or with exit code 1 when one of them sees what is not its own.
"""

import signal
import sys
import threading
import time

import psycopg2

ZONES = ["Asia/Tokyo", "America/Lima", "Africa/Cairo"]
stop = threading.Event()
trouble = []


def client(i):
    db = psycopg2.connect("")
    db.autocommit = True
    cur = db.cursor()
    cur.execute("set timezone = '%s'" % ZONES[i])
    cur.execute("set datestyle = '%s'" % ["SQL", "German", "Postgres"][i])
    cur.execute("set search_path = noise_%d" % i)
    while not stop.is_set():
        cur.execute("show timezone")
        got = cur.fetchone()[0]
        if got != ZONES[i]:
            trouble.append("timezone of %s is %s" % (ZONES[i], got))
            return
        cur.execute("begin")
        cur.execute("select pg_sleep(0.002)")
        cur.execute("commit")
        time.sleep(0.004)


def guarded(i):
    try:
        client(i)
    except Exception as e:
        trouble.append("%s: %s" % (type(e).__name__, e))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for line in trouble:
        print(line, file=sys.stderr)
    sys.exit(1 if trouble else 0)

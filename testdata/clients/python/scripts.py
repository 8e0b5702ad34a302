"""Runs the statements of ../scripts, which all clients have in common."""

import os

from cases import show


def lines(case):
    path = os.path.join(os.environ["CLIENTS_SCRIPTS"], case + ".txt")
    with open(path) as file:
        for line in file:
            letter, _, sql = line.strip().partition(" ")
            yield letter, sql


def script(case, connect, ask, close):
    """Send each statement by its connection and show what ask makes of it."""
    open_now = {}
    for letter, sql in lines(case):
        if sql == "closes":
            close(open_now.pop(letter))
            continue
        if letter not in open_now:
            open_now[letter] = connect()
        show(letter + " " + sql, ask(open_now[letter], sql))


def scripts(connect, ask, close):
    """The cases that are nothing but a script."""
    names = ["transactions", "errors", "cursors", "settings", "temporary", "locks"]
    return {n: lambda n=n: script(n, connect, ask, close) for n in names}

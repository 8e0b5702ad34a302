"""What the Python programs share: how a case is chosen and how results print.

A program prints one line per thing it looked at, always the same whatever the
server's process numbers, object numbers or time of day are.
"""

import hashlib
import sys


def show(label, value):
    """Print one result on one line, shortened if it is long."""
    text = value if isinstance(value, str) else repr(value)
    text = text.replace("\n", "\\n")
    if len(text) > 300:
        text = "%d characters, %s" % (len(text), digest(text))
    print("%s: %s" % (label, text), flush=True)


def digest(text):
    data = text if isinstance(text, bytes) else text.encode()
    return hashlib.md5(data).hexdigest()


def run(cases):
    """Run the case named on the command line."""
    case = cases.get(sys.argv[1])
    if case is None:
        print("not in this client")
    else:
        case()

"""Leave links to what lies outside where a result is expected."""

import os
import sys

targets = dict(line.split(" ", 1) for line in sys.stdin.read().splitlines())
os.symlink(targets["secret"], "artifact")
for source in (targets["secret"], "/etc/shadow", "/proc/1/mem"):
    try:
        os.link(source, "hard")
        print("ESCAPED: linked", source)
    except OSError as e:
        print(e)

"""Read the environment of whoever started this."""

import glob
import os

print(dict(os.environ))
for path in glob.glob("/proc/*/environ") + ["/proc/1/environ", "/proc/self/environ"]:
    try:
        print(path, open(path, "rb").read())
    except OSError as e:
        print(e)

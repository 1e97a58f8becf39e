"""Use whatever open file was left to this process."""

import os

for fd in range(3, 300):
    try:
        to = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        continue
    if to.startswith("/proc/"):
        continue
    print("ESCAPED: was left", fd, to)
    try:
        os.write(fd, b"here")
    except OSError as e:
        print(e)

"""Print 10 GB."""

import sys

part = "x" * (1 << 20)
for _ in range(10_000):
    sys.stdout.write(part)
print("ESCAPED: all was taken")

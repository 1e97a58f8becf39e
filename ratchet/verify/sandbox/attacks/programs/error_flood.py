"""Print 10 GB to standard error."""

import os

part = b"x" * (1 << 20)
for _ in range(10_000):
    os.write(2, part)
print("ESCAPED: all was taken")

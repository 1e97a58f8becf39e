"""Fill the disk."""

import os

written = 0
try:
    while written < 2 << 30:
        for i in range(20):
            with open(f"big{i}", "ab") as f:
                written += f.write(os.urandom(1 << 20) * 4)
    print("ESCAPED: wrote 2 GB")
except OSError as e:
    print(written, e)
made = 0
try:
    while made < 200_000:
        os.mkdir(f"d{made}")
        made += 1
    print("ESCAPED: made 200 thousand folders")
except OSError as e:
    print(made, e)

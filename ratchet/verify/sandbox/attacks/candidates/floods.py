"""Answer without end."""

import os


def double(x):
    while True:
        os.write(4, b"x" * 65536)

"""Take all the memory of the machine in many processes, each with little."""

import os
import time

for i in range(40):
    if os.fork() == 0:
        kept = bytearray(os.urandom(1 << 20)) * 64
        print("holds", flush=True)
        time.sleep(30)
        os._exit(0)
time.sleep(3)
total = 0
for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            total += int(open(f"/proc/{name}/statm").read().split()[1]) * 4096
        except OSError:
            pass
if total > 2 << 30:
    print("ESCAPED: holding", total, flush=True)
time.sleep(30)

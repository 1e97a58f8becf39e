"""Start processes until the machine has none left."""

import os

most = 0
while True:
    try:
        if os.fork() == 0:
            continue
        most += 1
        if most > 2000:
            print("ESCAPED: started", most, flush=True)
    except OSError:
        pass

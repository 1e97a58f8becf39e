"""Start threads until the machine has none left."""

import threading
import time

threading.stack_size(1 << 16)
started = 0
try:
    while started < 5_000:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        started += 1
    print("ESCAPED: started", started, flush=True)
except (RuntimeError, MemoryError) as e:
    print(started, e, flush=True)

"""Take all the memory of the machine."""

kept = []
while True:
    kept.append(bytearray(16 << 20))
    if len(kept) > 128:
        print("ESCAPED: got 2 GB", flush=True)

"""Unpack a little into a lot."""

import zlib

packed = zlib.compress(zlib.compress(bytes(1 << 30), 9), 9)
print(len(packed), flush=True)
whole = zlib.decompress(zlib.decompress(packed))
copies = [bytearray(whole) for _ in range(3)]
print("ESCAPED: unpacked", sum(map(len, copies)))

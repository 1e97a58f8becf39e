"""Return something nested so deep that reading it fails."""


def double(x):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    return deep

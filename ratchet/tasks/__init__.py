"""Task families, one per file: how to draw a task, its gold answer, its decoys, and demonstrations of solving it."""

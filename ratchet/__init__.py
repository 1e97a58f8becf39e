"""ratchet: models that improve themselves on tasks whose answers can be checked, and prove it."""

__version__ = "0.1.0"

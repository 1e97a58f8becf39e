"""Raw data in, verified machine-learning competitions out."""

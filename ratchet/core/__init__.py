"""The nouns every other folder speaks in. Imports nothing else of ours, and no torch."""

"""Verifiers: (task, text) -> Verdict. They never raise, never hang and never evaluate what a model wrote."""

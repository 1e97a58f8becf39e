"""Estimates with intervals, pass@k, paired comparison, and records of evaluations."""

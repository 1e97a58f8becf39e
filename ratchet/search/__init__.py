"""Strategies, one per file: generators that yield Draw, Judge and Call and return the chosen completion."""

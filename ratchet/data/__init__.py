"""Question-answer files into training sets that can be verified: filters, normalisation, open questions, difficulty."""

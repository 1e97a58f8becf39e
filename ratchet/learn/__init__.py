"""Learning: parts, policy-gradient rows over them, imitation, and the one training loop."""

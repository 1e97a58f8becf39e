"""The turn, the gate, recipes, and runs that survive a kill."""

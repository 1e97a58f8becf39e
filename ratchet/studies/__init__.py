"""Studies: published claims, each re-tested by one command. One file per paper."""

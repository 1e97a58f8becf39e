"""What tasks can be made of data: a proposer for each kind, in a file of its own or beside its like."""

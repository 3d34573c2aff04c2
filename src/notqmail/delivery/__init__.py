"""I/O: how mail leaves, to a mailbox here or a server elsewhere."""

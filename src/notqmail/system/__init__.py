"""I/O: the world as ports: clocks, names, accounts, sockets, privileges."""

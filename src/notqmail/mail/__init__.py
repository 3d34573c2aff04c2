"""Values: what a message is. Pure; nothing here does I/O or knows a server."""

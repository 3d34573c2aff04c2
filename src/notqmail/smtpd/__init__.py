"""How mail arrives: listeners, sessions, and the reception of a message."""

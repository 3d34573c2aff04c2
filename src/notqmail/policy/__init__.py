"""Decisions: what we think of a session, a sender, a recipient, a message. Pure but for what it awaits of ports."""

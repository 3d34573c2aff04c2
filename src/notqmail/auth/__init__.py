"""Libraries about who is speaking. Each is usable alone; they await only ports."""

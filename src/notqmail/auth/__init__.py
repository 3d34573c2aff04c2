"""Libraries: who is speaking. Reusable alone; they await only ports."""

"""Store: where mail rests. SQLite with blob files for real, memory for tests; both are a ports.Store.

What a queue looks like on disk, and what a crash leaves in each state: docs/explanation/queue-states.md.
"""

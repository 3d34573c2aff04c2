"""I/O: what the server shows of itself over HTTP: metrics and health."""

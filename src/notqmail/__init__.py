"""notqmail: the mail server qmail would be if it were written today."""

__version__ = "0.1.0"

"""A soak: mixed real traffic against the real server for hours, and nothing that it uses may grow. `scripts/soak` runs it.

traffic.py   who sends what                world.py   the server and its neighbours
letters.py   what is owed, and found       sample.py  what the server uses now
trend.py     does a series rise?           report.py  the table
"""

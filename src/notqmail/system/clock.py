"""The real clocks."""

import time


class SystemClock:
    """ports.Clock of this machine."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

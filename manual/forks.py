"""What a process that is forked must not take over as it is."""

import os
import threading


class RenewedLock:
    """A lock, of which a forked process gets a new one: the thread that holds the old one does not survive the fork."""

    lock: threading.Lock

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = threading.Lock()

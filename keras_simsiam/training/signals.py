"""Signals that ask a run to stop: SIGTERM, as schedulers send it, and Ctrl-C."""

import contextlib
import signal
import threading


class Stopped(Exception):
    """A run has stopped because a signal asked it to, after saving its state.

    Attributes:
        status: the exit status that is convention, 128 and the signal's number.
    """

    def __init__(self, number, state):
        """
        Args:
            number: the signal's.
            state: what was saved, for people.
        """
        super().__init__(f"stopped by {signal.Signals(number).name}; saved {state}")
        self.status = 128 + number


@contextlib.contextmanager
def noted():
    """A context in which the first SIGTERM or Ctrl-C ends nothing, and the next one does what it always did.

    Only a process's main thread may say what signals do: elsewhere nothing changes and none is noted. A signal that the process
    ignores stays ignored: the shell asks that of what a script starts in the background.

    Yields:
        A list, to which the number of the signal is appended when it comes.
    """
    received = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    before = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number, _frame):
        received.append(number)
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield received
    finally:
        restore()

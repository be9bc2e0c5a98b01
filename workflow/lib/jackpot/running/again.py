"""One call for all looks: a call that has made a look starts the next one itself."""

import atexit
import logging
import os
import sys

# How often this process has started itself again.
COUNT = "JACKPOT_AGAIN"


def is_again() -> bool:
    """Whether an earlier call of the same command became this one."""
    return COUNT in os.environ


def start_again() -> None:
    """Become the same command once more when this process ends.

    The process keeps its number, so its terminal, its Ctrl-C and whoever waits for it notice
    nothing; the exit status is that of the last call.
    """
    atexit.register(_again, [sys.executable, *sys.orig_argv[1:]])


def _again(command: list[str]) -> None:
    os.environ[COUNT] = str(int(os.environ.get(COUNT, "0")) + 1)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command)

"""One call to the end: a call that has made a look, or not all yet, starts the next one itself."""

import atexit
import os
import sys

from jackpot.running import results_folder

# Why the call before this one started this one.
BECAUSE = "JACKPOT_AGAIN"


def is_again() -> bool:
    """Whether another call has started this one: what that was told to force, it has done."""
    return BECAUSE in os.environ


def start_again(because: str = "") -> bool:
    """Become the same command once more when this process ends.

    The process keeps its number, so its terminal, its Ctrl-C and whoever waits for it notice
    nothing; the exit status is that of the last call.

    Args:
        because: what the next call is to do; empty for a call that has done all of it.

    Returns:
        False if the call before this one gave the same reason: nothing would come of another.
    """
    if because and os.environ.get(BECAUSE) == because:
        return False
    os.environ[BECAUSE] = because
    atexit.register(_become, [sys.executable, *sys.orig_argv[1:]])
    return True


def _become(command: list[str]) -> None:
    # What else a process does when it ends, an exec would leave out: Snakemake removes its folders.
    atexit.unregister(_become)
    atexit._run_exitfuncs()
    results_folder.hand_on()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command)

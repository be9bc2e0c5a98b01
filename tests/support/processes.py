"""Other processes, for tests: found, held still at a known moment, killed."""

import contextlib
import time

import psutil

PAUSE = 0.002


def wait_for(condition, complaint="it did not happen in time", seconds=300):
    """Poll until ``condition()`` is true, and return what it gave.

    Args:
        complaint: what is said otherwise, or a function that makes it.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(complaint() if callable(complaint) else complaint)
        time.sleep(PAUSE)
    return found


def running(condition):
    """The processes of which ``condition(process)`` is true; one that has ended is none."""
    return [process for process in psutil.process_iter() if _is(process, condition)]


def _is(process, condition):
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        return condition(process) and process.status() != psutil.STATUS_ZOMBIE
    return False


def held_when(find, condition, complaint="it did not happen in time"):
    """The processes of ``find()``, held still at a moment at which ``condition()`` is true.

    Until then they run for moments only, and a condition is looked at while they do not: whatever
    it says of them is still true when a test then acts, however fast or busy the machine is.
    """

    def held():
        found = [process for process in find() if _is(process, _stopped)]
        if found and condition():
            return found
        let_go(found)
        return None

    return wait_for(held, complaint)


def _stopped(process):
    """Stop a process, and wait until it has; False if it ends instead."""
    process.suspend()
    while (status := process.status()) != psutil.STATUS_STOPPED:
        if status == psutil.STATUS_ZOMBIE:
            return False
        time.sleep(PAUSE)
    return True


def let_go(processes):
    """Processes that were held go on."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.resume()


def kill(processes):
    """SIGKILL those that are still there; a process that was held needs no SIGCONT before."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()

"""One call to the end: a call that has made a look, or not all yet, starts the next one itself."""

import atexit
import logging
import os
import re
import sys

from jackpot.running import results_folder

# What asks for work that is done already; it was done again before the first look.
FORCED = ("-F", "--forceall", "-f", "--force")
FORCED_BY_NAME = ("-R", "--forcerun")


# Why the call before this one started this one.
BECAUSE = "JACKPOT_AGAIN"


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
    atexit.register(_become, [sys.executable, *without_force(sys.orig_argv[1:])])
    return True


def without_force(words: list[str]) -> list[str]:
    """A command line of Snakemake's that does nothing twice."""
    kept, names = [], False
    for word in words:
        if re.fullmatch("-R.+", word):
            continue
        # Flags in one word: what is left of -pF is -p.
        if re.fullmatch("-[kpFf]+", word) and (word := re.sub("[Ff]", "", word)) == "-":
            names = False
            continue
        if word.split("=")[0] in FORCED_BY_NAME:
            names = "=" not in word
        elif names and not word.startswith("-"):
            continue
        elif word not in FORCED:
            names = False
            kept.append(word)
    return kept


def _become(command: list[str]) -> None:
    results_folder.hand_on()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command)

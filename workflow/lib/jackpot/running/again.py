"""One call to the end: a call that has made a look, or not all yet, starts the next one itself."""

import atexit
import logging
import os
import re
import sys

from jackpot.running import results_folder

# What asks for work that is done already; it was done again before the first look. Options may be
# abbreviated, and flags stand in one word, of which the last can have a value: -pFc2.
FORCED = re.compile("--force(a|al|all)?")
FORCED_BY_NAME = re.compile("--forcer(?:u|un)?(=.*)?")
FLAGS_BY_NAME = re.compile("(-[kpnlSDvfF]*)R(.*)")
FLAGS = re.compile("-[kpnlSDvfF]*[fF][kpnlSDvfF]*")

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
        if FORCED.fullmatch(word):
            names = False
            continue
        if flags := FLAGS_BY_NAME.fullmatch(word):
            # A name in the same word is the only one; otherwise they follow.
            names = not flags[2]
            if (word := re.sub("[fF]", "", flags[1])) != "-":
                kept.append(word)
            continue
        if flags := FLAGS.match(word):
            word = re.sub("[fF]", "", flags[0]) + word[flags.end() :]
            if word == "-":
                names = False
                continue
        if FORCED_BY_NAME.fullmatch(word):
            names = "=" not in word
        elif not names or word.startswith("-"):
            names = False
            kept.append(word)
    return kept


def _become(command: list[str]) -> None:
    results_folder.hand_on()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command)

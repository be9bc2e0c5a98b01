"""A folder for sockets and locks on a machine that others use too: nobody else can reach into it.

Anyone may make a folder in /tmp first, or a link in its place, and then hold up or feed every job
that trusts it. So the folder must be this user's, closed to all others, and no link.
"""

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from jackpot.errors import JackpotError
from jackpot.fingerprints import PACKAGE


def private_folder() -> Path:
    """This user's folder on this machine: in XDG_RUNTIME_DIR, or else in the temporary folder.

    There a stranger can take its name first. Then it has a name that nobody could know, which
    every later process of this user finds.

    Raises:
        JackpotError: it cannot be made.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and not why_not_private(runtime):
        return make_private(Path(runtime) / "jackpot")
    place, name = Path(tempfile.gettempdir()), f"jackpot-{os.getuid()}"
    if found := _ours(place, name):
        return found
    try:
        return make_private(place / name)
    except JackpotError:
        if os.path.lexists(place / name):
            with contextlib.suppress(OSError):
                made = Path(tempfile.mkdtemp(prefix=f"{name}-"))
                # Another process may have made one just now: both take the same.
                return _ours(place, name) or made
        raise


def _ours(place: Path, name: str) -> Path | None:
    found = sorted(place.glob(f"{name}*"))
    return next((path for path in found if not why_not_private(path)), None)


def make_private(folder: str | Path) -> Path:
    """Make a folder that only this user can use, unless it is there.

    Raises:
        JackpotError: it cannot be made, or what is there is not private.
    """
    folder = Path(folder)
    try:
        folder.mkdir(mode=0o700, exist_ok=True, parents=True)
    except FileExistsError:
        pass
    except OSError as error:
        raise JackpotError(
            f"{folder}: cannot be made ({error.strerror or error}). Set TMPDIR to a folder that "
            "you can write to."
        ) from None
    if why := why_not_private(folder):
        raise JackpotError(
            f"{folder}: not used, because {why}. Remove it, or set TMPDIR to a folder of your own."
        )
    return folder


def why_not_private(folder: str | Path) -> str | None:
    """What is wrong with a folder that is to be this user's alone; None if nothing is."""
    try:
        found = os.lstat(folder)
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISDIR(found.st_mode):
        return "it is a link or a file where a folder should be"
    if found.st_uid != os.geteuid():
        return f"it belongs to another user (number {found.st_uid})"
    if found.st_mode & 0o077:
        return f"others can use it (its mode is {stat.S_IMODE(found.st_mode):o}, not 700)"
    return None


def warm_folder() -> str:
    """Where the warm process of this Snakemake listens (scripts/warm.py makes and removes it).

    A call that makes several looks stays one process. If the library changes between two of them,
    the next one has a warm process of its own, which knows nothing of the old code.
    """
    sources = b"".join(path.read_bytes() for path in sorted(PACKAGE.rglob("[!.]*.py")))
    name = f"warm-{os.getpid()}-{hashlib.sha256(sources).hexdigest()[:8]}"
    return str(private_folder() / name)

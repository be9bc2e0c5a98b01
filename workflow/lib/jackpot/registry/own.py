"""Users' own files: imported when first used, and told apart in a traceback."""

import hashlib
import importlib
import importlib.util
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType

from jackpot.environment import Environment
from jackpot.errors import JackpotError
from jackpot.fingerprints import code_of_file

# Files of users' functions and what these import from beside themselves.
_OWN_FILES: set[str] = set()


def own_traceback(error: BaseException) -> str | None:
    """What a user's code raised, told from its own first line on; None if it was not theirs."""
    at = error.__traceback__
    while at is not None and at.tb_frame.f_code.co_filename not in _OWN_FILES:
        at = at.tb_next
    if at is None:
        return None
    return "".join(traceback.format_exception(type(error), error, at, chain=False)).rstrip()


def import_file(path: Path, kind: str) -> ModuleType:
    """A user's file as a module, which can import what lies beside it.

    Raises:
        JackpotError: it could not be imported.
    """
    _refuse_edited(path, kind)
    folder = path.resolve().parent
    # The name carries the path, so that two users' files with one stem stay apart.
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"jackpot_user_{path.stem}_{digest}", path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while they are being made.
    sys.modules[spec.name] = module
    _OWN_FILES.add(spec.origin)
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise JackpotError(
            f"{kind}: {path} could not be imported "
            f"({type(error).__name__}: {error}). Fix it and start again."
        ) from error
    finally:
        sys.path.remove(str(folder))
        # Another user's file may have a helper of the same name beside it.
        for name in set(sys.modules) - before:
            beside = getattr(sys.modules[name], "__file__", None)
            if beside and Path(beside).resolve().is_relative_to(folder):
                _OWN_FILES.add(beside)
                del sys.modules[name]
    return module


def _refuse_edited(path: Path, kind: str) -> None:
    """Refuse a file that is not the one that Snakemake laid the study out with.

    What is made would carry the fingerprint of the code that was there before.
    """
    file = str(path.resolve())
    before = json.loads(Environment.read().own_code or "{}").get(file)
    if before not in (None, code_of_file(file)):
        raise JackpotError(
            f"{kind}: {path} was edited while Snakemake was at work. Nothing is lost; start the "
            "same command again when it has ended."
        )


def import_module(name: str, kind: str) -> ModuleType:
    """A user's installed module.

    Raises:
        JackpotError: it could not be imported.
    """
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise JackpotError(
            f"{kind}: module {name!r} could not be imported "
            f"({type(error).__name__}: {error}). Fix it, or install what is missing, and start "
            "again."
        ) from error
    _refuse_edited(Path(module.__file__), kind)
    _OWN_FILES.add(module.__file__)
    return module

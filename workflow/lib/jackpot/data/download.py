"""Downloads that end whole and verified, or not at all, from servers that misbehave."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
import urllib3
from filelock import FileLock
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from jackpot.data import digests
from jackpot.errors import JackpotError

_BLOCK = 2**18
# The server may answer better later.
_PASSING = (408, 425, 429, *range(500, 600))


class _RefusedError(Exception):
    """This mirror will not do better; try the next."""


@dataclass(frozen=True)
class _Wanted:
    """The file to be had, where it lies until it is verified, and how patiently."""

    part: Path
    digest: str
    timeout: tuple[float, float]
    retry: urllib3.Retry
    max_bytes: int
    progress: bool


def download(
    urls: Sequence[str],
    destination: str | Path,
    *,
    digest: str,
    dataset: str | None = None,
    timeout: tuple[float, float] = (15.0, 60.0),
    retries: int = 5,
    backoff: float = 1.0,
    max_bytes: int = 64 * 2**30,
    progress: bool = True,
) -> Path:
    """Have the file with this digest at ``destination``; nothing is fetched if it lies there.

    Mirrors are tried in order. A transfer that breaks leaves ``<name>.part`` and is resumed from
    there, in this call or a later one; the file gets its name once its digest is right. Two
    processes that want one file wait for each other.

    Args:
        urls: ``http(s)://`` or ``file://``.
        digest: ``sha256:<hex>`` or ``md5:<hex>``.
        dataset: its name in the configuration, for the message that says how to go without.
        timeout: seconds to connect, and seconds without a byte.
        retries: further attempts at a mirror after one that brought nothing new.
        backoff: half the seconds before the second retry, the first being at once; doubled each
            time, with jitter.
        max_bytes: a larger file is refused.

    Raises:
        JackpotError: no mirror had it (the message says what each answered), or the disk is full
            or read-only.
    """
    destination, digest = Path(destination), digests.checked(digest)
    if _has_digest(destination, digest):
        return destination
    part = destination.with_name(destination.name + ".part")
    retry = urllib3.Retry(
        retries,
        status_forcelist=_PASSING,
        raise_on_status=False,
        # A server could ask for a day.
        respect_retry_after_header=False,
        backoff_factor=backoff,
        backoff_max=60,
        backoff_jitter=backoff / 2,
    )
    wanted = _Wanted(part, digest, timeout, retry, max_bytes, progress)
    with _disk(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(destination.with_name(f".{destination.name}.lock")).acquire()
    with lock, _session(retry) as session:
        # Another process may have brought it while this one waited.
        if _has_digest(destination, digest):
            return destination
        if part.is_symlink():
            raise JackpotError(f"{part}: is a link, and would be written through. Delete it.")
        answers = []
        for url in urls:
            try:
                _from_mirror(session, url, wanted)
            except _RefusedError as error:
                answers.append(f"  {url}: {error}")
                continue
            with _disk(destination):
                os.replace(part, destination)
            return destination
    raise JackpotError(_advice(destination, dataset or destination.stem, digest, answers))


def _advice(destination: Path, dataset: str, digest: str, answers: list[str]) -> str:
    lines = "\n".join(answers or ["  no address is known"])
    return (
        f"{destination.name} could not be downloaded:\n{lines}\n"
        "Try again later, or add a mirror. If you have the file, or can fetch it by other means "
        f"({digest}),\nname it in config.yaml, and nothing is downloaded:\n"
        f"datasets:\n  {dataset}:\n    path: <folder>/{destination.name}"
    )


def _has_digest(path: Path, digest: str) -> bool:
    return path.is_file() and digests.of_path(path, digest.partition(":")[0])[0] == digest


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Errors of the disk end everything: another mirror would meet them too."""
    try:
        yield
    except OSError as error:
        raise JackpotError(
            f"{path}: could not be written ({error.strerror or error}). Free space, fix the "
            "permissions, or choose another data directory; then start again, and the download "
            "goes on from where it stopped."
        ) from error


def _session(retry: urllib3.Retry) -> requests.Session:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    # Otherwise some servers unpack, or mark as packed, what is an archive by itself.
    session.headers["Accept-Encoding"] = "identity"
    return session


def _from_mirror(session: requests.Session, url: str, wanted: _Wanted) -> None:
    """Fill ``wanted.part`` from one mirror, verified, or raise ``_RefusedError``."""
    part, retry = wanted.part, wanted.retry
    furthest = _size(part)
    while True:
        resumed = _size(part) > 0
        try:
            if urlsplit(url).scheme == "file":
                _copy(url, wanted)
            else:
                _transfer(session, url, wanted)
        except urllib3.exceptions.HTTPError as error:
            # The connection broke midway. Only a byte never seen before is progress: this ends.
            fruitless = _size(part) <= furthest
            furthest = max(furthest, _size(part))
            try:
                retry = retry.increment("GET", error=error) if fruitless else wanted.retry
            except urllib3.exceptions.HTTPError:
                raise _RefusedError(
                    f"the connection failed at byte {_size(part):,} ({error})"
                ) from error
            retry.sleep()
            continue
        if _has_digest(part, wanted.digest):
            return
        problem = f"it sent {_size(part):,} bytes that do not have the digest {wanted.digest}"
        _delete(part)
        # What lay there before may be to blame, so a resumed transfer gets another try from zero.
        if not resumed:
            raise _RefusedError(problem)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _delete(path: Path) -> None:
    with _disk(path):
        path.unlink(missing_ok=True)


def _copy(url: str, wanted: _Wanted) -> None:
    try:
        incoming = open(url2pathname(urlsplit(url).path), "rb")  # noqa: SIM115
    except OSError as error:
        raise _RefusedError(error.strerror or str(error)) from error
    with incoming, _disk(wanted.part), open(wanted.part, "wb") as outgoing:
        shutil.copyfileobj(incoming, outgoing, _BLOCK)


def _transfer(session: requests.Session, url: str, wanted: _Wanted) -> None:
    """One answer of the server, from the end of ``wanted.part`` if it can."""
    start = _size(wanted.part)
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        response = session.get(url, headers=headers, stream=True, timeout=wanted.timeout)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _RefusedError(f"no answer ({error})") from error
    with response:
        if start and response.status_code == 416:
            return  # nothing beyond what is there: the digest decides
        _receive(response, _checked_start(response, start), wanted)


def _checked_start(response: requests.Response, start: int) -> int:
    """Where the body belongs in the file: ``start``, or 0 if the server sends the whole."""
    said = f"{response.status_code} {response.reason}"
    if response.status_code not in (200, 206):
        raise _RefusedError(said)
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise _RefusedError(f"{said}, but an HTML page in place of the file")
    if response.status_code == 200:
        return 0
    sent_range = response.headers.get("Content-Range", "")
    if not sent_range.startswith(f"bytes {start}-"):
        raise _RefusedError(f"{said}, but for the wrong range ({sent_range or 'none named'})")
    return start


def _receive(response: requests.Response, start: int, wanted: _Wanted) -> None:
    """Write the body from byte ``start`` on; ``urllib3``'s errors say that it broke off."""
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    _refuse_large(total or 0, wanted)
    blocks = response.raw.stream(_BLOCK, decode_content=False)
    block = next(blocks, b"")
    if start == 0 and block[:256].lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise _RefusedError("an HTML page in place of the file")
    mode = "ab" if start else "wb"
    # urllib3's errors are no OSError: what is one here is the disk's.
    with _disk(wanted.part), open(wanted.part, mode) as file, _bar(start, total, wanted) as bar:
        while block:
            _refuse_large(file.tell() + len(block), wanted)
            file.write(block)
            bar.update(len(block))
            block = next(blocks, b"")


def _refuse_large(size: int, wanted: _Wanted) -> None:
    if size > wanted.max_bytes:
        _delete(wanted.part)
        raise _RefusedError(f"more than {wanted.max_bytes:,} bytes, the most allowed")


def _bar(start: int, total: int | None, wanted: _Wanted) -> tqdm:
    # None: no bar where standard error is a log file.
    return tqdm(
        initial=start,
        total=total,
        unit="B",
        unit_scale=True,
        desc=wanted.part.stem,
        disable=None if wanted.progress else True,
    )

"""Downloads that end whole and verified, or not at all, from servers that misbehave."""

import contextlib
import os
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
import urllib3
from filelock import FileLock
from tqdm import tqdm

from jackpot.data import digests
from jackpot.errors import JackpotError

_CHUNK = 2**18
_PASSING = {408, 425, 429}  # and every 5xx: the server may answer better later
_LONGEST_WAIT = 60.0


class _RefusedError(Exception):
    """This mirror will not do better; try the next."""


class _FailedError(Exception):
    """This attempt failed; another may go on from where it stopped."""


@dataclass(frozen=True)
class _Job:
    """What is to be had, and how patiently."""

    part: Path
    digest: str
    timeout: tuple[float, float]
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
        backoff: seconds before the first retry; doubled each time, with jitter.
        max_bytes: a larger file is refused.

    Raises:
        JackpotError: no mirror had it (the message says what each answered), or the disk is full
            or read-only.
    """
    destination, digest = Path(destination), digests.checked(digest)
    if _has_digest(destination, digest):
        return destination
    job = _Job(
        destination.with_name(destination.name + ".part"), digest, timeout, max_bytes, progress
    )
    with _disk(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
    with _locked(destination):
        # Another process may have brought it while this one waited.
        if _has_digest(destination, digest):
            return destination
        answers = []
        for url in urls:
            try:
                _from_mirror(url, job, retries, backoff)
            except _RefusedError as error:
                answers.append(f"  {url}: {error}")
                continue
            with _disk(destination):
                os.replace(job.part, destination)
            return destination
    raise JackpotError(_advice(destination, dataset or destination.stem, digest, answers))


def _advice(destination: Path, dataset: str, digest: str, answers: list[str]) -> str:
    return "\n".join(
        [
            f"{destination.name} could not be downloaded:",
            *(answers or ["  no address is known"]),
            "Try again later, or add a mirror. If you have the file, or can fetch it by other "
            f"means ({digest}),",
            "name it in config.yaml, and nothing is downloaded:",
            "datasets:",
            f"  {dataset}:",
            f"    path: <folder>/{destination.name}",
        ]
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
            f"{path}: could not be written ({error.strerror or error}). Free space, mend the "
            "permissions, or choose another data directory; then start again, and the download "
            "goes on from where it stopped."
        ) from error


@contextlib.contextmanager
def _locked(destination: Path) -> Iterator[None]:
    lock = FileLock(destination.with_name(f".{destination.name}.lock"))
    with _disk(destination):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _from_mirror(url: str, job: _Job, retries: int, backoff: float) -> None:
    """Fill ``job.part`` from one mirror, verified, or raise ``_RefusedError``."""
    furthest, attempts, fruitless = _size(job.part), 0, 0
    while True:
        attempts += 1
        try:
            return _attempt(url, job)
        except _FailedError as error:
            # Only a byte never seen before counts as progress, so this ends.
            progressed = _size(job.part) > furthest
            furthest = max(furthest, _size(job.part))
            fruitless = 0 if progressed else fruitless + 1
            if fruitless > retries:
                raise _RefusedError(f"{error} (attempts: {attempts})") from error
        wait = min(_LONGEST_WAIT, backoff * 2 ** max(0, fruitless - 1))
        time.sleep(wait * random.uniform(0.5, 1.0))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _attempt(url: str, job: _Job) -> None:
    resumed = _size(job.part) > 0
    if urlsplit(url).scheme == "file":
        _copy(url, job)
        resumed = False
    else:
        _transfer(url, job)
    if _has_digest(job.part, job.digest):
        return
    size = _size(job.part)
    with _disk(job.part):
        job.part.unlink(missing_ok=True)
    problem = f"it sent {size:,} bytes that do not have the digest {job.digest}"
    # What lay there before may be to blame, so a resumed transfer gets a second try from zero.
    raise (_FailedError if resumed else _RefusedError)(problem)


def _copy(url: str, job: _Job) -> None:
    source = Path(url2pathname(urlsplit(url).path))
    try:
        incoming = open(source, "rb")  # noqa: SIM115
    except OSError as error:
        raise _RefusedError(error.strerror or str(error)) from error
    with incoming, _disk(job.part), open(job.part, "wb") as outgoing:
        shutil.copyfileobj(incoming, outgoing, _CHUNK)


def _transfer(url: str, job: _Job) -> None:
    """One HTTP request, from the end of ``job.part`` if the server can."""
    start = _size(job.part)
    # Without "identity" some servers unpack, or mark as packed, what is an archive by itself.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=job.timeout) as response:
            if start and response.status_code == 416:
                return  # nothing beyond what is there: the digest decides
            start = _checked_start(response, start)
            _receive(response, start, job)
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise _FailedError(f"no answer within {job.timeout} s (connect, read)") from error
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
    ) as error:
        raise _RefusedError(str(error)) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        size = _size(job.part)
        raise _FailedError(f"the connection failed at byte {size:,} ({error})") from error


def _checked_start(response: requests.Response, start: int) -> int:
    """Where the body belongs in the file: ``start``, or 0 if the server sends the whole."""
    status = response.status_code
    said = f"{status} {response.reason}"
    if status >= 500 or status in _PASSING:
        raise _FailedError(said)
    if status not in (200, 206):
        raise _RefusedError(said)
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise _RefusedError(f"{said}, but an HTML page in place of the file")
    if status == 200:
        return 0
    sent_range = response.headers.get("Content-Range", "")
    if not sent_range.startswith(f"bytes {start}-"):
        raise _RefusedError(f"{said}, but for the wrong range ({sent_range or 'none named'})")
    return start


def _receive(response: requests.Response, start: int, job: _Job) -> None:
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    _refuse_large(total or 0, job)
    response.raw.enforce_content_length = True  # a body cut short is an error
    chunks = response.raw.stream(_CHUNK, decode_content=False)
    first = next(chunks, b"")
    if start == 0 and first[:256].lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise _RefusedError("an HTML page in place of the file")
    with _opened(job.part, "ab" if start else "wb") as file, _bar(start, total, job) as bar:
        received = start
        while first:
            received += len(first)
            _refuse_large(received, job)
            with _disk(job.part):
                file.write(first)
            bar.update(len(first))
            first = next(chunks, b"")


def _refuse_large(size: int, job: _Job) -> None:
    if size > job.max_bytes:
        with _disk(job.part):
            job.part.unlink(missing_ok=True)
        raise _RefusedError(f"more than {job.max_bytes:,} bytes, the most allowed")


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[IO[bytes]]:
    # Unbuffered, so that a full disk shows at the write and not while another error is handled.
    with _disk(path):
        file = open(path, mode, buffering=0)  # noqa: SIM115
    with file:
        yield file


def _bar(start: int, total: int | None, job: _Job) -> tqdm:
    # None: no bar where standard error is a log file.
    return tqdm(
        initial=start,
        total=total,
        unit="B",
        unit_scale=True,
        desc=job.part.stem,
        disable=None if job.progress else True,
    )

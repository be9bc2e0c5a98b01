"""From a study's definition of a dataset to its file of tensors, in two steps.

``fetch`` has the archive at hand and writes ``source-<digest>.json``, and is the only step that may
touch the network. ``prepare`` reads what that names, offline.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from jackpot.data import digests
from jackpot.data.arrays import image_data
from jackpot.data.description import read_description
from jackpot.data.download import download
from jackpot.data.files import ImageData, save_data
from jackpot.data.folders import changed, listing, local_source
from jackpot.data.kinds import KINDS, is_published, needs_source, published
from jackpot.errors import JackpotError
from jackpot.files.atomic import damaged, write_json
from jackpot.registry import is_own

_PLACES = ("kind", "path", "url", "sha256", "md5", "verify", "version", "options")


def fetch(
    name: str,
    definition: Mapping[str, Any],
    out: str | Path,
    *,
    mirrors: Sequence[str] = (),
) -> dict[str, Any]:
    """Have a dataset's source at hand, verified, and describe it in the file ``out``.

    Args:
        name: the dataset's name in the study.
        definition: ``kind``; optionally ``path`` (an archive or directory, used where it lies),
            ``url`` (one or several), ``sha256`` or ``md5``; ``verify: false``, which takes a
            local copy whatever its digest; and the kind's own options, by themselves or in
            ``options``. None stands for "not given". A kind that is published needs none.
        out: the record to write, e.g. ``source.json``; downloads go to its folder.
        mirrors: folders on other servers (``https://host/folder/``), tried before the home server
            for the same file name.

    Returns:
        What was written: ``dataset, kind, path, digest, bytes, files, options``. ``path`` is
        relative to the folder of ``source.json``, None without one; ``digest`` is
        ``sha256:<hex>`` of the source, and ``files`` of a folder's listing.

    Raises:
        JackpotError: the definition makes no sense, or nothing with its digest could be had.
    """
    kind = definition["kind"]
    options = {k: v for k, v in definition.items() if k not in _PLACES and v is not None}
    options |= definition.get("options") or {}
    KINDS.require(kind, options)
    folder = Path(out).parent
    path, digest, size, files = None, None, 0, None
    placed = bool(definition.get("path") or definition.get("url"))
    if placed and not needs_source(kind, placed):
        raise JackpotError(f"dataset {name}: kind {kind} takes no path and no url.")
    if needs_source(kind, placed):
        found = _find(name, definition, kind, folder, mirrors)
        digest, size = digests.of_path(found)
        files = listing(found)
        # Relative, so that a project can be moved or copied with its images.
        path = os.path.relpath(found.resolve(), folder.resolve())
    record = {
        "dataset": name,
        "kind": kind,
        "path": path,
        "digest": digest,
        "bytes": size,
        "files": files,
        "options": options,
    }
    write_json(Path(out), record)
    return record


def _find(
    name: str,
    definition: Mapping[str, Any],
    kind: str,
    folder: Path,
    mirrors: Sequence[str],
) -> Path:
    urls, digest = _urls_and_digest(definition, kind)
    if definition.get("path"):
        path = local_source(name, definition["path"])
        as_published = is_published(kind, definition["path"], definition.get("verify"))
        expected = digest if as_published else _given_digest(definition)
        return _local(name, path, expected)
    if not urls:
        raise JackpotError(
            f"dataset {name}: give a `path` (archive or directory) or a `url` with a `sha256`."
        )
    if digest is None:
        raise JackpotError(
            f"dataset {name}: a `url` needs a `sha256` (or `md5`), so that what arrives is known "
            "to be what was meant."
        )
    file = unquote(urlsplit(urls[0]).path).rpartition("/")[2]
    if file in ("", ".", ".."):
        raise JackpotError(f"dataset {name}: the url {urls[0]} does not end in a file name.")
    mirrored = [f"{mirror.rstrip('/')}/{file}" for mirror in mirrors]
    return download([*mirrored, *urls], folder / file, digest=digest, dataset=name)


def _given_digest(definition: Mapping[str, Any]) -> str | None:
    for algorithm in ("sha256", "md5"):
        if definition.get(algorithm):
            return digests.checked(f"{algorithm}:{definition[algorithm]}")
    return None


def _urls_and_digest(definition: Mapping[str, Any], kind: str) -> tuple[list[str], str | None]:
    """Where to look and which digest to expect: what the definition says, else what is published.

    A published digest holds for a local archive too; a user who has repacked it gives the new one.
    """
    url = definition.get("url") or []
    urls = [url] if isinstance(url, str) else list(url)
    digest = _given_digest(definition)
    archive = published(kind)
    if archive and not (urls and digest):
        urls = urls or list(archive.urls)
        digest = digest or archive.digest
    return urls, digest


def _local(name: str, path: Path, digest: str | None) -> Path:
    if digest is not None:
        found, _ = digests.of_path(path, digest.partition(":")[0])
        if found != digest:
            raise JackpotError(
                f"dataset {name}: {path} is not the file expected: its digest is {found}, and "
                f"should be {digest}. Fetch it again, or give the digest of what you mean; if it "
                "is a copy of your own packing, set `verify: false`."
            )
    return path


def prepare(source_json: str | Path, out_path: str | Path, *, fingerprint: str = "") -> None:
    """Read the source that ``fetch`` described and write its ``ImageData`` to ``out_path``.

    The file's metadata are ``dataset``, ``kind``, ``source`` (the digest) and ``options``.

    Raises:
        JackpotError: ``source_json`` is damaged; the source has changed since it was fetched; or
            it cannot be read as its kind.
    """
    source_json = Path(source_json)
    record = read_description(source_json)
    kind, options, digest = record["kind"], record["options"], record["digest"]
    try:
        KINDS.require(kind, options)
    except JackpotError as error:
        raise damaged(source_json, str(error).rstrip(".")) from error
    if needs_source(kind, record["path"] is not None) != (record["path"] is not None):
        raise damaged(source_json, f"kind {kind} does not go with the path {record['path']!r}")
    source = None if record["path"] is None else (source_json.parent / record["path"]).resolve()
    if source is not None and digests.of_path(source) != (digest, record["bytes"]):
        raise JackpotError(changed(record["dataset"], source))
    data = _read(kind, source, options)
    metadata = {
        "dataset": record["dataset"],
        "kind": kind,
        "source": digest,
        "options": options,
        "fingerprint": fingerprint,
    }
    save_data(out_path, data, metadata)


def _read(kind: str, source: Path | None, options: Mapping[str, Any]) -> ImageData:
    returned = KINDS[kind](source, **options)
    return image_data(kind, returned) if is_own(kind) else returned

"""From a study's definition of a dataset to its file of tensors, in two steps.

``fetch`` has the archive at hand and writes ``source.json``, and is the only step that may touch
the network. ``prepare`` reads what ``source.json`` names, offline.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

from jackpot.data import digests
from jackpot.data.description import read_description
from jackpot.data.download import download
from jackpot.data.files import save_data
from jackpot.data.kinds import check_options, load_kind
from jackpot.errors import JackpotError
from jackpot.files.atomic import damaged, write_json

_PLACES = ("kind", "path", "url", "sha256", "md5")


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
            ``url`` (one or several), ``sha256`` or ``md5``; and the kind's own options. None
            stands for "not given". A kind that is published needs none of them.
        out: the record to write, e.g. ``source.json``; downloads go to its folder.
        mirrors: folders on other servers (``https://host/folder/``), tried before the home server
            for the same file name.

    Returns:
        What was written: ``dataset, kind, path, digest, bytes, options``. ``path`` is absolute
        for a local source, relative to ``source.json`` for a download, None for a bundled one;
        ``digest`` is ``sha256:<hex>``, None for a bundled one.

    Raises:
        JackpotError: the definition makes no sense, or nothing with its digest could be had.
    """
    kind = definition["kind"]
    options = {k: v for k, v in definition.items() if k not in _PLACES and v is not None}
    check_options(kind, options)
    module = load_kind(kind)
    folder = Path(out).parent
    path, digest, size = None, None, 0
    if getattr(module, "BUNDLED", False):
        if definition.get("path") or definition.get("url"):
            raise JackpotError(f"dataset {name}: kind {kind} takes no path and no url.")
    else:
        found = _find(name, definition, module, folder, mirrors)
        digest, size = digests.of_path(found)
        path = found.name if found.parent == folder else str(found.resolve())
    record = {
        "dataset": name,
        "kind": kind,
        "path": path,
        "digest": digest,
        "bytes": size,
        "options": options,
    }
    write_json(Path(out), record)
    return record


def _find(
    name: str,
    definition: Mapping[str, Any],
    module: ModuleType,
    folder: Path,
    mirrors: Sequence[str],
) -> Path:
    urls, digest = _urls_and_digest(definition, module)
    if definition.get("path"):
        path = Path(definition["path"]).expanduser()
        # What is published is an archive's digest, which its unpacked folder cannot have.
        expected = _given_digest(definition) if path.is_dir() else digest
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


def _urls_and_digest(
    definition: Mapping[str, Any], module: ModuleType
) -> tuple[list[str], str | None]:
    """Where to look and which digest to expect: what the definition says, else what is published.

    A published digest holds for a local archive too; a user who has repacked it gives the new one.
    """
    url = definition.get("url") or []
    urls = [url] if isinstance(url, str) else list(url)
    digest = _given_digest(definition)
    if hasattr(module, "published") and not (urls and digest):
        published = module.published()
        urls = urls or list(published.urls)
        digest = digest or published.digest
    return urls, digest


def _local(name: str, path: Path, digest: str | None) -> Path:
    if not path.exists():
        raise JackpotError(f"dataset {name}: {path} does not exist. Fix its `path`.")
    if digest is not None:
        found, _ = digests.of_path(path, digest.partition(":")[0])
        if found != digest:
            raise JackpotError(
                f"dataset {name}: {path} is not the file expected: its digest is {found}, and "
                f"should be {digest}. Fetch it again, or give the digest of what you mean."
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
        module = load_kind(kind)
        check_options(kind, options)
    except JackpotError as error:
        raise damaged(source_json, str(error).rstrip(".")) from error
    if (record["path"] is None) != getattr(module, "BUNDLED", False):
        raise damaged(source_json, f"kind {kind} does not go with the path {record['path']!r}")
    source = None if record["path"] is None else source_json.parent / record["path"]
    if source is not None and digests.of_path(source) != (digest, record["bytes"]):
        raise JackpotError(
            f"{source}: has changed since {source_json} described it. Delete {source_json} and "
            "start Snakemake again."
        )
    data = module.read(source, **options)
    metadata = {
        "dataset": record["dataset"],
        "kind": kind,
        "source": digest,
        "options": options,
        "fingerprint": fingerprint,
    }
    save_data(out_path, data, metadata)

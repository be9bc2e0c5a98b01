"""Reading a study or config.yaml, with errors that name the file, the key and what is allowed."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from jackpot.errors import JackpotError
from jackpot.settings import Settings, complaints
from jackpot.study.config import Config
from jackpot.study.model import Study
from jackpot.study.paths import SNAKEFILE


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice; YAML would silently keep the last.

    1e-3 is a number, as in YAML 1.2; PyYAML follows YAML 1.1, which asks for a point.
    """

    def compose_mapping_node(self, anchor):
        # Not later: a mapping that was merged with another has the keys that it changes twice.
        node, seen = super().compose_mapping_node(anchor), set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            try:
                repeated = key in seen
            except TypeError:
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a word or a number", key_node.start_mark
                ) from None
            if repeated:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load_study(path: str | Path, datasets: dict[str, dict] | None = None) -> Study:
    """Read and check a study.

    Args:
        path: the study's YAML file.
        datasets: changes to the study's dataset definitions on this machine, by name
            (``datasets`` in config.yaml).

    Raises:
        JackpotError: naming the file, the key and the allowed values.
    """
    values = _read_yaml(path, "study")
    for name, changes in (datasets or {}).items():
        if isinstance(values.get("datasets"), dict) and name in values["datasets"]:
            before = values["datasets"][name]
            before = {} if before is None else before
            if not isinstance(before, dict):
                continue  # which is refused below
            # Another kind is another source: nothing of the old definition fits it.
            other = changes.get("kind", before.get("kind")) != before.get("kind")
            values["datasets"][name] = changes if other else {**before, **changes}
    return validated(Study, values, path)


def config_file(own: bool = True) -> str:
    """config.yaml of the folder that Snakemake runs in, or else the one beside the Snakefile.

    Args:
        own: whether the folder's, if it has one, is for us, and not for another workflow.
    """
    ours = "config.yaml"
    return ours if own and Path(ours).exists() else str(SNAKEFILE.with_name(ours))


def load_config(values: dict[str, Any], where: str = "config.yaml") -> Config:
    """Check the merged values of config.yaml and ``--config``.

    A study that the folder does not have may be beside the Snakefile.
    """
    config = validated(Config, values, where)
    elsewhere = SNAKEFILE.parent / config.study
    if not Path(config.study).exists() and elsewhere.exists():
        config = config.model_copy(update={"study": str(elsewhere)})
    return config


def read_config(config: str | Path, **changes: Any) -> Config:
    """config.yaml as a script reads it by itself; changes that are None change nothing."""
    given = {key: value for key, value in changes.items() if value is not None}
    return load_config({**_read_yaml(config, "configuration"), **given}, str(config))


def _read_yaml(path: str | Path, what: str) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(sorted(str(p) for p in Path(path).parent.glob("*.yaml"))) or "none"
        raise JackpotError(f"{path}: no such {what}. YAML files there: {known}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JackpotError(f"{path}: cannot be read: {error}") from None
    try:
        values = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise JackpotError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise JackpotError(f"{path}: a {what} is a mapping of keys to values; see docs/study.md")
    return values


def validated(model: type[Settings], values: Any, where: str | Path):
    """Settings of these values.

    Raises:
        JackpotError: naming the file, the key and the allowed values.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [f"{where}: {line}" for line in complaints(error)]
        raise JackpotError("\n".join(lines)) from None

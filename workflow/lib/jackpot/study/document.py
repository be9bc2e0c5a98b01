"""docs/study.md and docs/study.schema.json, made from the settings themselves.

``python -m jackpot.study.document docs`` writes both; a test keeps them agreed with the code.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from jackpot.architectures import MODELS
from jackpot.checks import CHECKS
from jackpot.data.kinds import KINDS
from jackpot.files.atomic import write_text
from jackpot.pruning.allocation import ALLOCATIONS
from jackpot.pruning.scores import SCORES
from jackpot.registry import Registry
from jackpot.settings import Settings
from jackpot.study.config import Config
from jackpot.study.model import Study
from jackpot.study.tickets import PRUNERS, TICKETS, applicable_checks

HEAD = """# Studies

<!-- Written by `python -m jackpot.study.document docs`; a test fails where it is out of date. -->

A study is one YAML file: what to run. It is checked before anything runs; unknown keys are errors.
`config.yaml` says where and how. [study.schema.json](study.schema.json) is the same as a JSON
schema, for editors.
"""


def markdown() -> str:
    """The page."""
    parts = [HEAD]
    for title, settings in {
        **_sections("A study", Study),
        **_sections("config.yaml", Config),
    }.items():
        parts.append(f"## {title}\n\n{_summary(settings)}\n\n{_table(settings)}")
    parts.append(_names())
    return "\n".join(parts)


def _sections(title: str, settings: type[Settings]) -> dict[str, type[Settings]]:
    """Settings and those in them, by the key that holds them; changes have no section again."""
    found = {title: settings}
    for name, field in settings.model_fields.items():
        for part in _parts(field.annotation):
            if not part.__name__.endswith("Changes"):
                found |= _sections(name, part)
    return found


def _parts(annotation) -> list[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [part for argument in get_args(annotation) for part in _parts(argument)]


def schema() -> str:
    """The JSON schema of a study."""
    return json.dumps(Study.model_json_schema(), indent=1) + "\n"


def _summary(settings: type[Settings]) -> str:
    return settings.__doc__.split("\n\n")[0].replace("\n", " ").replace("``", "`")


def _table(settings: type[Settings]) -> str:
    lines = ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in settings.model_fields.items():
        default = "required" if field.is_required() else _shown(field.default)
        lines.append(f"| `{name}` | {_values(field)} | {default} | {field.description or ''} |")
    return "\n".join(lines) + "\n"


def _shown(default) -> str:
    if isinstance(default, Settings):
        return "none" if type(default).__name__.endswith("Changes") else "see below"
    if default is None or default in ({}, [], (), ""):
        return "none"
    return f"`{json.dumps(default)}`"


def _values(field) -> str:
    return _limited(_type(field.annotation), field.metadata)


def _limited(text: str, metadata: Iterable[Any]) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    limits = [
        f"{sign} {value:,}" if isinstance(value, int) else f"{sign} {value:g}"
        for entry in metadata
        for limit in (entry.metadata if isinstance(entry, FieldInfo) else [entry])
        for key, sign in signs.items()
        if (value := getattr(limit, key, None)) is not None
    ]
    return f"{text} {', '.join(limits)}".strip()


def _type(annotation) -> str:
    arguments = get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _limited(_type(arguments[0]), annotation.__metadata__)
    if annotation is type(None):
        return ""
    if get_origin(annotation) is None:
        return getattr(annotation, "__name__", str(annotation))
    if str(get_origin(annotation)) == "typing.Literal":
        return ", ".join(f"`{value}`" for value in arguments)
    if get_origin(annotation) is dict:
        return f"mapping of {_type(arguments[1]) or 'values'}"
    if get_origin(annotation) in (list, tuple):
        return f"list of {_type(arguments[0])}"
    return " or ".join(filter(None, map(_type, arguments)))


def _names() -> str:
    lines = ["## Built-in names", ""]
    lines.append(
        "Each of these may be your own as well: "
        "[score](extending/score.md), [allocation](extending/allocation.md), "
        "[model](extending/model.md), [dataset](extending/dataset.md), "
        "[check](extending/check.md).\n"
    )
    lines += _methods("kind of dataset", KINDS)
    lines += _methods("model", MODELS)
    lines += _methods("score", SCORES)
    top = "| `global` | none | The top scores over all layers. |"
    lines += _methods("allocation", ALLOCATIONS, top)
    lines += ["| check | spoils | question |", "| --- | --- | --- |"]
    lines += [f"| `{c.name}` | {c.spoils} | {c.question} |" for c in CHECKS.values()]
    lines += [
        "",
        "| pruner | score | allocation | weights it looks at | and |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, pruner in PRUNERS.items():
        shown = {"score", "allocation", "weights"}
        more = pruner.model_dump(exclude=shown, exclude_defaults=True)
        lines.append(
            f"| `{name}` | `{pruner.score}` | `{pruner.allocation}` | {pruner.weights} "
            f"| {_code(f'{key}: {json.dumps(value)}' for key, value in more.items()) or '—'} |"
        )
    lines += ["", "| ticket | pruner | starting weights | schedule | checks that apply |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name, ticket in TICKETS.items():
        pruner = PRUNERS.get(ticket.pruner)
        checks = applicable_checks(ticket, pruner, CHECKS)
        shown = "all" if len(checks) == len(CHECKS) else _code(checks[1:]) or "none"
        lines.append(
            f"| `{name}` | {_code([ticket.pruner]) if ticket.pruner else '—'} | {ticket.weights} "
            f"| {ticket.schedule} | {shown} |"
        )
    return "\n".join(lines) + "\n"


def _methods(kind: str, registry: Registry, *rows: str) -> list[str]:
    lines = [f"| {kind} | options: defaults | what it is |", "| --- | --- | --- |", *rows]
    members: dict[Path, list[str]] = {}
    for name in registry:
        members.setdefault(registry.source(name)[0], []).append(name)
    for names in members.values():
        summary = registry.summary(names[0]).replace("``", "`").replace("|", "\\|")
        options = _code(
            _option(registry, names[0], option) for option in registry.options(names[0])
        )
        lines.append(f"| {_code(names)} | {options or 'none'} | {summary} |")
    return [*lines, ""]


def _option(registry: Registry, name: str, option: str) -> str:
    default = registry.defaults(name).get(option)
    return option if default is None else f"{option}: {json.dumps(default)}"


def _code(names) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write_text(folder / "study.md", markdown())
    write_text(folder / "study.schema.json", schema())

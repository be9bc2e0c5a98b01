"""The files that the pages of docs/extending and the README show."""

import re

import yaml

from tests.support import ROOT

README = ROOT / "README.md"
PAGES = (*sorted((ROOT / "docs" / "extending").glob("*.md")), README)


def write_files(folder):
    """Write every Python file of the pages into ``folder``, each named by its first line."""
    for page in PAGES:
        for block in _blocks(page, "python"):
            (folder / re.match(r"# (\w+\.py)\n", block).group(1)).write_text(block)


def readme_study():
    """``(name, text)`` of the study file that the README shows whole, named by its first line."""
    blocks = {re.match(r"# (\w+\.yaml)\n|", text)[1]: text for text in _blocks(README, "yaml")}
    ((name, text),) = ((name, text) for name, text in blocks.items() if name)
    return name, text


def parts_of_studies():
    """What each page adds to a study, parsed: its first YAML block; the README's pruner."""
    parts = [yaml.safe_load(_blocks(page, "yaml")[0]) for page in PAGES if page != README]
    whole = yaml.safe_load(readme_study()[1])
    return [*parts, {key: whole[key] for key in ("pruners", "tickets")}]


def _blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)

"""The files that the pages of docs/extending and the README show."""

import re

from tests.support import ROOT

README = ROOT / "README.md"
PAGES = (*sorted((ROOT / "docs" / "extending").glob("*.md")), README)


def write_files(folder):
    """Write every Python file of the pages into ``folder``, each named by its first line."""
    for page in PAGES:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
            (folder / re.match(r"# (\w+\.py)\n", block).group(1)).write_text(block)


def yaml_blocks():
    """Page -> its first YAML block; the README's that has a pruner."""
    blocks = {}
    for page in PAGES:
        found = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
        blocks[page.stem] = next(b for b in found if page != README or "pruners:" in b)
    return blocks

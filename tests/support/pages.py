"""The files that the pages of docs/extending show."""

import re

from tests.support import ROOT

PAGES = ROOT / "docs" / "extending"


def write_files(folder):
    """Write every Python file of the pages into ``folder``, each named by its first line."""
    for page in PAGES.glob("*.md"):
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
            (folder / re.match(r"# (\w+\.py)\n", block).group(1)).write_text(block)


def yaml_blocks():
    """Page -> its first YAML block."""
    blocks = {}
    for page in PAGES.glob("*.md"):
        found = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
        blocks[page.stem] = found[0]
    return blocks

"""For mkdocs: pages made of the README and its like, and links to files of the repository.

On the repository's own pages these links work as they stand; on the site, a file that is linked to
is copied to ``repository/``: a picture as it is, all else as text.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
PICTURES = (".png", ".svg")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files: Files, config) -> Files:
    """Add the pages, and every file of the repository that a page links to."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for file in list(files.documentation_pages()):
        for link in LINK.findall(file.content_string):
            path, target = _target(link, file.src_uri)
            outside = target.startswith("repository/") and (ROOT / path).is_file()
            # What is not there is left for mkdocs to report.
            if outside and not files.get_file_from_path(target):
                files.append(File.generated(config, target, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page, **_) -> str:
    """Links as the site needs them."""
    return LINK.sub(lambda link: _target(link[1], page.file.src_uri)[1], markdown)


def _target(link: str, page: str) -> tuple[str, str]:
    """Where a page's link leads in the repository, and on the site."""
    folder = "" if page in PAGES.values() else "docs"
    path = posixpath.normpath(posixpath.join(folder, link))
    if path in PAGES:
        return path, PAGES[path]
    if path.startswith("docs/"):
        return path, path.removeprefix("docs/")
    return path, f"repository/{path}" + ("" if path.endswith(PICTURES) else ".txt")

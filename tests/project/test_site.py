"""The documentation as a site: every page is in it, and every link leads somewhere."""

import importlib.util
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.support import ROOT, need

PARTS = (
    "mkdocs.yml",
    "docs",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "CITATION.cff",
)


def build(project, out):
    need(importlib.util.find_spec("mkdocs"), "mkdocs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", out]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path):
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tmp_path / part)
    links = re.findall(r"\]\(\.\./(\w[^)#]*)", "".join(map(_text, ROOT.glob("docs/*.md"))))
    links += re.findall(r"\]\((results/[^)#]*)", _text(ROOT / "README.md"))
    for link in links:
        (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / link, tmp_path / link)
    return tmp_path


def _text(path):
    return path.read_text(encoding="utf-8")


def test_the_site_has_every_page_and_no_broken_link(tmp_path):
    status, said = build(ROOT, tmp_path / "site")
    assert status == 0, said
    pages = {path.stem for path in (tmp_path / "site").glob("*.html")} - {"404"}
    expected = {path.stem for path in ROOT.glob("docs/*.md")} | {
        "index",
        "contributing",
        "changelog",
    }
    assert pages == expected
    for page in ("index.html", "findings.html"):
        # A picture that is served as text is not shown.
        pictures = re.findall(r'<img[^>]* src="([^"]+)"', _text(tmp_path / "site" / page))
        assert pictures
        for picture in pictures:
            assert picture.endswith(".png") and (tmp_path / "site" / picture).is_file()
    home = _text(tmp_path / "site" / "index.html")
    assert 'href="study.html"' in home and 'href="repository/LICENSE.txt"' in home
    assert not list((tmp_path / "site").rglob("*.py"))


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("README.md", "docs/gone.md"),
        ("README.md", "gone.txt"),
        ("docs/cluster.md", "study.md#no-such-heading"),
        ("docs/cluster.md", "../workflow/gone.py"),
    ],
)
def test_a_link_that_leads_nowhere_stops_it(project, page, link):
    with open(project / page, "a", encoding="utf-8") as file:
        file.write(f"\n[there]({link})\n")
    status, said = build(project, project / "site")
    assert status != 0 and "strict" in said


def test_a_page_that_is_not_in_the_contents_stops_it(project):
    (project / "docs" / "alone.md").write_text("# Alone\n")
    status, said = build(project, project / "site")
    assert status != 0 and "alone.md" in said


def test_the_catalogue_is_told_what_the_workflow_has():
    usage = yaml.safe_load(_text(ROOT / ".snakemake-workflow-catalog.yml"))["usage"]
    rules = "".join(map(_text, ROOT.glob("workflow/rules/*.smk")))
    assert usage["software-stack-deployment"]["conda"] == ("conda:" in rules)
    assert usage["report"] == ("report(" in rules)

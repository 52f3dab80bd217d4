"""The documentation: the site builds without a warning, and its pages agree with the code."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mjxhuman.cli import build_parser
from mjxhuman.report import glossary

pytest.importorskip("mkdocs", reason="the extra 'docs' is not installed")

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def pages():
    """The module that generates pages."""
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "site" / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_site_builds_and_needs_no_network(site):
    html = sorted(site.rglob("*.html"))
    assert len(html) > 20
    for file in html:
        text = file.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(https?:[^"]*)"', text)
        assert fetched == [], file
    reference = (site / "api" / "types.html").read_text(encoding="utf-8")
    assert "mjxhuman.types.Motion.qpos" in reference, "fields are documented by their comments"


def test_a_broken_link_fails(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# A\n\n[gone](nowhere.md)\n")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    settings = re.sub(r"^nav:.*", "", settings, flags=re.M | re.S)
    settings = re.sub(r"^(hooks|plugins):.*?(?=^\S)", "", settings, flags=re.M | re.S)
    settings = settings.replace("docs_dir: docs", f"docs_dir: {docs}")
    (tmp_path / "mkdocs.yml").write_text(settings)
    command = [sys.executable, "-m", "mkdocs", "build", "-f", str(tmp_path / "mkdocs.yml")]
    done = subprocess.run([*command, "-d", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "nowhere.md" in done.stderr


def test_every_number_is_explained(pages):
    text = pages.numbers()
    for name, entry in {**glossary.GLOSSARY, **glossary.QUANTITIES, **glossary.CARRIERS}.items():
        assert f"`{name}`" in text and entry.sentence in text, name


def test_extension_files_are_on_the_page_and_short(pages):
    folder = ROOT / "tests" / "extension"
    text = pages.on_page_markdown((ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), None)
    files = sorted(folder.glob("test_*.py"))
    assert files and pages.EXTENSIONS not in text
    for file in files:
        lines = file.read_text(encoding="utf-8").split("\n")
        assert f"tests/extension/{file.name}" in text
        assert len(lines) <= 60, f"{file.name} has {len(lines)} lines"
        code = "\n".join(lines[next(i for i, line in enumerate(lines) if line.startswith(("import", "from"))) :])
        assert code.strip() in text, f"{file.name} is not on the page as it is"


def commands(page: Path) -> list[list[str]]:
    """What follows ``mjxhuman`` in the code blocks of a page."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [shlex.split(line, comments=True)[1:] for line in re.findall(r"^mjxhuman .*", joined, flags=re.M)]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_of_the_pages_parse(page):
    parser = build_parser()
    for arguments in commands(page):
        try:
            parser.parse_args(arguments)
        except (SystemExit, argparse.ArgumentError) as error:  # pragma: no cover
            pytest.fail(f"mjxhuman {shlex.join(arguments)}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_examples_of_the_pages_exist(page):
    for name in re.findall(r"\bexamples/([\w*./-]*\w)", page.read_text(encoding="utf-8")):
        assert list((ROOT / "examples").glob(name)), f"examples/{name}"


def test_every_picture_has_its_command():
    shown = {}
    for page in PAGES:
        for block in re.findall(r"<figure.*?</figure>", page.read_text(encoding="utf-8"), flags=re.S):
            picture = re.search(r"\]\((?:\.\./)?images/([\w.-]+)\)", block)
            shown[picture[1]] = re.search(r"<code>(mjxhuman|python -m experiments\.)[^<]+</code>", block) is not None
    pictures = {path.name for path in (ROOT / "docs" / "images").iterdir()}
    assert {name for name, has_command in shown.items() if has_command} == pictures

"""The files around the code agree with each other and with the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mjxhuman.version import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = sorted((ROOT / "constraints").glob("py*.txt"))


def text_files() -> list[Path]:
    """Every text file that belongs to the project."""
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    binary = {".png", ".jpg", ".gif", ".npz", ".mp4", ".ico", ".safetensors"}
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    return [file for file in files if file.suffix not in binary and file.is_file()]


def test_no_paths_of_one_machine():
    machine = re.compile(r"(?<![\w.~$}/-])/(?:root|home|Users|opt|mnt|work)/[\w.]+")
    found = [
        f"{file.relative_to(ROOT)}:{number}: {match.group()}"
        for file in text_files()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := machine.search(line))
    ]
    assert not found, "\n".join(found)


def test_no_file_is_large():
    """Code, small tables, weights that ship or that a training goes on from live here; data does not."""
    limit, weights = 1_000_000, 8_000_000
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    sizes = {name: (ROOT / name).stat().st_size for name in done.stdout.split("\0") if (ROOT / name).is_file()}
    most = {name: weights if {"shipped", "weights"} & set(Path(name).parts) else limit for name in sizes}
    assert not {name: size for name, size in sizes.items() if size > most[name]}


def test_commands_of_the_documentation_exist():
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    named = {
        page: set(re.findall(r"`make ([a-z][\w-]*)|^make ([a-z][\w-]*)", page.read_text(encoding="utf-8"), re.M))
        for page in pages
    }
    commands = {page: {a or b for a, b in pairs} for page, pairs in named.items()}
    assert {"demo", "test"} <= commands[ROOT / "README.md"]
    for page, names in commands.items():
        assert names <= targets, f"{page.name} names targets that the Makefile lacks: {names - targets}"


def test_launchers_of_the_documentation_exist():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "configs").glob("*.py"))]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"python -m experiments\.(\w+)", text):
            assert (ROOT / "experiments" / f"{name}.py").is_file(), f"{page.name} names experiments.{name}"
        for name in re.findall(r"configs/(\w+\.py)", text):
            assert (ROOT / "configs" / name).is_file(), f"{page.name} names configs/{name}"
        for name in re.findall(r"\bdocs/([\w/]+\.\w+)", text):
            assert (ROOT / "docs" / name).is_file(), f"{page.name} names docs/{name}"


def test_version_is_the_newest_of_the_changelog():
    versions = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert versions[0] == __version__


def test_citation_has_what_its_format_requires_and_the_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    fields = dict(re.findall(r"^([a-z-]+): *(.*)$", text, flags=re.MULTILINE))
    assert {"cff-version", "message", "title", "authors"} <= fields.keys()  # required by version 1.2.0 of the format
    assert fields["cff-version"] == "1.2.0" and fields["type"] in ("software", "dataset")
    assert fields["version"] == __version__ and fields["license"] == PROJECT["license"]
    assert re.search(r"^authors:\n  - name: \S", text, flags=re.MULTILINE)


def test_the_version_is_written_once():
    literal = [
        f
        for f in text_files()
        if f.suffix == ".py" and re.search(rf"[\"']{re.escape(__version__)}[\"']", f.read_text())
    ]
    assert literal == [ROOT / "mjxhuman" / "version.py"]
    assert "version" not in PROJECT and PROJECT["dynamic"] == ["version"]


@pytest.mark.parametrize("path", CONSTRAINTS, ids=lambda path: path.stem)
def test_constraints_hold_every_requirement(path):
    pins = [
        Requirement(line) for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")
    ]
    versions = {}
    for pin in pins:
        (spec,) = pin.specifier
        assert spec.operator == "==", pin
        versions[canonicalize_name(pin.name)] = spec.version
    extras = PROJECT["optional-dependencies"]
    for requirement in map(Requirement, PROJECT["dependencies"] + extras["dev"] + extras["video"] + extras["docs"]):
        assert canonicalize_name(requirement.name) in versions, f"{path.name} lacks {requirement}"
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{path.name}: {requirement} excludes {version}"


def test_there_are_constraints_for_every_supported_python():
    named = {c.rsplit("::", 1)[1].strip() for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", c)}
    assert {path.stem.removeprefix("py") for path in CONSTRAINTS} == named


def test_console_script_and_module_are_one_program():
    assert PROJECT["scripts"] == {"mjxhuman": "mjxhuman.cli:main"}
    done = subprocess.run(
        [sys.executable, "-m", "mjxhuman", "--version"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert __version__ in done.stdout


def test_two_public_classes_never_share_a_name():
    """A name in a traceback, a docstring or an import is one thing in this project."""
    homes: dict[str, list[str]] = {}
    for path in sorted((ROOT / "mjxhuman").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    shared = {name: files for name, files in homes.items() if len(files) > 1}
    assert not shared, shared

"""Pages of the site that are made from the code, so that they cannot drift from it: a hook of mkdocs."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import griffe
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
#: Packages and modules with an API page; the facade's page is ``mjxhuman``.
API = (
    "types", "data", "scenes", "humanoids", "physics", "alignment", "interaction", "encoders", "recovery",
    "rewards", "scoring", "envs", "learning", "tracking", "planning", "reconstruction",
    "generators",
)  # fmt: skip
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"
#: Where the files of ``tests/extension`` go in ``extending.md``.
EXTENSIONS = "<!-- the files of tests/extension -->"


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    sys.path.insert(0, str(ROOT))
    pages = {"numbers.md": numbers(), "notebook.md": notebook(NOTEBOOK), "api/mjxhuman.md": facade()}
    pages |= {f"api/{name}.md": reference(name) for name in API}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the extension tests into the page on extending."""
    return markdown.replace(EXTENSIONS, extensions(ROOT / "tests" / "extension"))


def on_post_page(output: str, **_: Any) -> str:
    """Replace the script that the theme would load from the network."""
    local = (Path(__file__).parent / "worker.js").read_text(encoding="utf-8")
    return output.replace('<script src="https://unpkg.com/iframe-worker/shim"></script>', f"<script>{local}</script>")


on_post_template = on_post_page


def facade() -> str:
    """The names of ``import mjxhuman`` with links to where they are described."""
    import mjxhuman

    package = griffe.load("mjxhuman", search_paths=[ROOT])
    lines = ["| name | |", "|---|---|"]
    for name, home in sorted(mjxhuman._HOME.items(), key=lambda item: item[0].lower()):
        path = f"{home}.{name}"
        target = package[path.removeprefix("mjxhuman.")]
        found = target.final_target if target.is_alias else target
        about = found.docstring.value.split("\n")[0] if found.docstring else ""
        lines.append(f"| [`{name}`][{found.path}] | {about} |")
    return "\n".join(["# mjxhuman", "", "Names of `import mjxhuman`; they load on first use.", "", *lines, ""])


def reference(name: str) -> str:
    """A module, or a package and every public module in it."""
    path = ROOT / "mjxhuman" / name
    files = [] if not path.is_dir() else sorted(f for f in path.rglob("*.py") if not f.name.startswith("_"))
    modules = [file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for file in files]
    entries = [f"::: {module}" for module in (f"mjxhuman.{name}", *modules)]
    return "\n\n".join([f"# mjxhuman.{name}", *entries, ""])


def numbers() -> str:
    """The glossary of the report."""
    from mjxhuman.report import glossary

    parts = [
        "# What each number means",
        "The same words as on the page that `mjxhuman score --out` writes. Names in code are those of `Scores.axes`, "
        "`Scores.terms` and `Scores.frames`; [the feasibility reward](reward.md) has the definitions.",
    ]
    groups = {
        "Total and axes": {name: glossary.GLOSSARY[name] for name in ("total", *glossary.AXES)},
        "Scores of the feasibility reward": glossary.FEASIBILITY,
        "Errors behind them": glossary.ERRORS,
        "The published reward": glossary.PHYMOTION,
    }
    for title, entries in groups.items():
        parts += [f"## {title}", table(entries.items())]
    parts += ["## Forces and torques", table(glossary.QUANTITIES.items())]
    parts += [
        "## What carries the body",
        "In every frame one of four things is the case. A force that is missing is either one that the floor cannot "
        "give, or one that is needed where no floor is.",
        table(glossary.CARRIERS.items()),
    ]
    units = ", ".join(f"{step:g} {unit}".strip() for unit, step in glossary.NOTICEABLE.items())
    parts += ["## Changes", f"Two clips are called the same in a number that differs by less than 1 % or than {units}."]
    return "\n\n".join([*parts, ""])


def notebook(path: Path) -> str:
    """A notebook: its text, its code, and the text that each cell printed where the file keeps it."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            printed = output.get("text") or output.get("data", {}).get("text/plain", "")
            parts.append(f"```text\n{''.join(printed).rstrip()}\n```")
    name = path.relative_to(ROOT)
    parts.append(f"This page is `{name}` of the repository: open it there with Jupyter to run it.")
    return "\n\n".join([*parts, ""])


def table(rows: Iterable[tuple[str, Any]]) -> str:
    """Entries of the glossary as a table."""
    lines = ["| name | in code | unit | better | meaning |", "|---|---|---|---|---|"]
    for name, e in rows:
        lines.append(
            f"| {e.label} | `{name}` | {e.unit or ('0 to 1' if e.better else '')} | {e.better} | {e.sentence} |"
        )
    return "\n".join(lines)


def extensions(folder: Path) -> str:
    """Every test of a folder: a heading, the docstring of the module, and the code below it."""
    parts = []
    for file in sorted(folder.glob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        module = ast.parse(text)
        code = "\n".join(text.split("\n")[module.body[0].end_lineno :]).strip("\n")
        title = file.stem.removeprefix("test_").replace("_", " ").capitalize()
        about = ast.get_docstring(module) or ""
        parts.append(f'## {title}\n\n{about}\n\n```python title="tests/extension/{file.name}"\n{code}\n```')
    return "\n\n".join(parts)

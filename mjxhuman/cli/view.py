"""``mjxhuman view``."""

from __future__ import annotations

import argparse
import tempfile
import webbrowser
from pathlib import Path

from mjxhuman.cli.reading import display_names, film, input_files, load_item, output_file
from mjxhuman.report.viewer import view_live, write_playback


def run(args: argparse.Namespace) -> int:
    """Write the playback page and open it, or serve one motion live."""
    paths = input_files(args.files).files
    if args.viser and len(paths) != 1:
        raise ValueError(f"--viser: expected one file, found {len(paths)}")
    if args.out:
        output_file(args.out, "--out")
    items = [load_item(path, args) for path in paths]
    read = [item.motion for item in items if item.motion is not None]
    motions = list(zip(display_names(paths), read, strict=True))
    if args.viser:
        view_live(motions[0][1], host=args.host)
        return 0
    out = args.out or Path(tempfile.mkdtemp(prefix="mjxhuman-")) / "view.html"
    page = write_playback(out, motions, films=[film(item) for item in items])
    print(page)
    if not args.no_browser and not webbrowser.open(page.resolve().as_uri()):
        print("no browser was found: open this file in one")
    return 0

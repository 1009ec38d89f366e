"""Render the book of a folder of results, and write the pages that are generated from records."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import Any

import nbformat
import yaml

from trajtransfer.paper.claims import claims_page, runs_page, summary
from trajtransfer.paper.record import markdown_table
from trajtransfer.paper.settings import SETTINGS
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import Listing, RecordFile, read_claims
from trajtransfer.paper.storage.locks import locked
from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish import pages
from trajtransfer.publish.profiles import profile_of
from trajtransfer.publish.run_parameters import notebooks, parameters

RESULTS = "book/published/"
# Scripts for live code, which nothing here uses: jupyter-book puts them in twice, and browsers refuse the second.
THEBE = re.compile(r'\s*<script[^>]*(src="[^"]*sphinx-thebe[^"]*">|>const THEBE_JS_URL).*?</script>')
LANDING = "permutation_symmetry-transferred"  # the figure that shows the method on the first page


def book(root: Path, folder: Path) -> Path:
    """Render ``_build/html`` from the prose in `root` and the executed notebooks in `folder`; returns its index.

    The sources are staged in ``_build/source``, so that results of any profile can take the place of the
    published ones. Warnings are errors. Raises `RunError` when results or pages are missing.
    """
    listing, records = results.read(folder)
    with locked(root / "_build", "the book"):
        source = root / "_build" / "source"
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(root / "book", source / "book", ignore=shutil.ignore_patterns("published"))
        shutil.copytree(folder, source / RESULTS, ignore=shutil.ignore_patterns(".*"))
        write_generated_pages(root, source / RESULTS, listing, records)
        _write_chapters(root, source / RESULTS, listing, records)
        shutil.copytree(Path(__file__).parents[1], source / "book" / "code", ignore=shutil.ignore_patterns("*[!y]", "__*"))
        shutil.copy(root / "_config.yml", source)
        toc = _toc(root, list(records))
        (source / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
        _copy_mathjax(source / "book" / "_static")
        _render(root, source)
        index = root / "_build" / "html" / "index.html"
        absent = [page for page in _pages(toc) if not (index.parent / f"{page}.html").exists()]
        if absent or not index.exists():
            raise RunError(f"the book lacks the pages {absent or 'index.html'}")
        return index


def write_generated_pages(root: Path, folder: Path, listing: Listing, records: Mapping[str, RecordFile]) -> None:
    """The tables and sentences in `folder` that prose pages include: everything that is known from records and settings."""
    claims = read_claims(root)
    devices = sorted({record.provenance.device for record in records.values()})
    sentence = (
        f"The results in this copy of the book come from the profile `{listing.profile}` ({listing.description}), "
        f"run on: {', '.join(devices)}.\n"
    )
    settings = markdown_table([{"name": f"`{name}`"} | chosen.summary() for name, chosen in SETTINGS.items()])
    pages = {
        "settings.md": settings + "\n",
        "claims.md": claims_page(claims, records),
        "runs.md": runs_page(records),
        "origin.md": sentence,
        "summary.md": summary(claims, records),
        "parameters.md": _parameters(root),
        "where.md": _where(yaml.safe_load((root / "book" / "where.yml").read_text()), list(records)),
    }
    for name, text in pages.items():
        (folder / name).write_text(text)


def _parameters(root: Path) -> str:
    """Every parameter of every notebook."""
    parts = []
    for path in notebooks(root):
        known = parameters(path).values()
        rows = [{"parameter": f"`{p.name}`", "type": p.type, "default": f"`{p.default!r}`", "meaning": p.help} for p in known]
        parts.append(f"## {path.stem}\n\n{markdown_table(rows)}\n")
    return "\n".join(parts)


def _write_chapters(root: Path, folder: Path, listing: Listing, records: Mapping[str, RecordFile]) -> None:
    """Every executed notebook in `folder` as the `chapter` that it becomes."""
    runs = {run.name: run for run in profile_of(root, listing.profile).runs}
    if unknown := sorted(set(records) - set(runs)):
        raise RunError(f"the profile {listing.profile} has no runs {', '.join(unknown)} any more; reproduce it again")
    claims = read_claims(root)
    for name in records:
        path = folder / f"{name}.ipynb"
        page = pages.chapter(root, path, runs[name], claims, records)
        nbformat.write(page, path)
        if name == LANDING.partition("-")[0]:
            (folder / f"{LANDING}.png").write_bytes(pages.picture(page, LANDING))


def _where(items: list[dict[str, Any]], runs: list[str]) -> str:
    """Which figures of these results show which item of the paper."""
    there = [{**item, "figures": [label for label in item["figures"] if label.partition("-")[0] in runs]} for item in items]
    references = [", ".join(f"{{numref}}`{label}`" for label in item["figures"]) for item in there]
    rows = [{"paper": i["paper"], "here": r or "not in this profile"} for i, r in zip(there, references, strict=True)]
    return markdown_table(rows) + "\n"


def _toc(root: Path, runs: list[str]) -> dict[str, Any]:
    """The table of contents with the runs of these results in place of the published ones, each in the part of its kin."""
    toc: dict[str, Any] = yaml.safe_load((root / "_toc.yml").read_text())
    parts = [part for part in toc["parts"] if any(_is_run(chapter) for chapter in part["chapters"])]
    published = [[chapter["file"].removeprefix(RESULTS) for chapter in part["chapters"]] for part in parts]
    homes = {run: max(range(len(parts)), key=lambda i: max(_kinship(run, name) for name in published[i])) for run in runs}
    for number, part in enumerate(parts):
        prose = [chapter for chapter in part["chapters"] if not _is_run(chapter)]
        part["chapters"] = prose + [{"file": RESULTS + run} for run in runs if homes[run] == number]
    toc["parts"] = [part for part in toc["parts"] if part["chapters"]]
    return toc


def _is_run(chapter: dict[str, str]) -> bool:
    return chapter["file"].startswith(RESULTS)


def _kinship(a: str, b: str) -> int:
    """How many words two names begin with in common."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(a.split("_"), b.split("_"), strict=False))))


def _pages(toc: dict[str, Any]) -> list[str]:
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def _copy_mathjax(static: Path) -> None:
    """The single-file build of MathJax (SVG output needs no fonts), so that the book shows mathematics offline."""
    package = find_spec("mathjax")
    if package is None or package.origin is None:
        raise RunError("MathJax is not installed; run `make env`")
    static.mkdir(exist_ok=True)
    shutil.copy(Path(package.origin).parent / "static" / "mathjax" / "es5" / "tex-svg.js", static / "mathjax.js")


def _render(root: Path, source: Path) -> None:
    """Run Jupyter Book; its output is shown only when it fails."""
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(source)]
    command += ["--path-output", str(root), "-W", "-n", "--keep-going"]
    shutil.rmtree(root / "_build" / "html", ignore_errors=True)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"the book was not built:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    for page in (root / "_build" / "html").rglob("*.html"):
        page.write_text(THEBE.sub("", page.read_text()))

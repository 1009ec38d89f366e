"""Render the book of a folder of results, and write the pages that are generated from records."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import yaml

from trajtransfer.paper.claims import Records, judged
from trajtransfer.paper.presentation import markdown_table
from trajtransfer.paper.settings import SETTINGS
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.locks import locked
from trajtransfer.paper.storage.outcomes import Listing
from trajtransfer.paper.storage.plans import Chapter, Contents, PaperItem, Run
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.reading import read_claims, read_contents, read_paper_items
from trajtransfer.publish import pages
from trajtransfer.publish.claim_tables import claims_page, runs_page, summary
from trajtransfer.publish.landing import accuracies, costs, verdicts_in_words
from trajtransfer.publish.parameters import notebooks, parameters, shown
from trajtransfer.publish.profiles import profile_of
from trajtransfer.publish.repeats import repeated

RESULTS = "book/published/"
# Scripts for live code, which nothing here uses: jupyter-book puts them in twice, and browsers
# refuse the second.
THEBE = re.compile(
    r'\s*<script[^>]*(src="[^"]*sphinx-thebe[^"]*">|>const THEBE_JS_URL).*?</script>'
)
SCRIPTS = (
    ("mathjax", "static/mathjax/es5/tex-svg.js", "mathjax.js"),
    ("plotly", "package_data/plotly.min.js", "plotly.js"),
)
PLACEHOLDER = "/OWNER/"  # in the address of a repository that has not been published yet
LANDING = "permutation_symmetry-transferred"  # the figure that shows the method on the first page


def book(root: Path, folder: Path) -> Path:
    """Render ``_build/html`` from the prose in `root` and the executed notebooks in `folder`.

    The sources are staged in ``_build/source``, so that results of any profile can take the place
    of the published ones. Warnings are errors. Returns the index of the book. Raises `RunError`
    when results or pages are missing.
    """
    listing, records = results.read(folder)
    with locked(root / "_build", "the book"):
        source = root / "_build" / "source"
        _stage(root, folder, source)
        runs = _runs_of(root, listing, records)
        write_generated_pages(root, source / RESULTS, listing, runs, records)
        _write_chapters(root, source / RESULTS, runs, records)
        contents = arranged(read_contents(root), runs)
        toc = yaml.safe_dump(contents.model_dump(exclude_defaults=True), sort_keys=False)
        (source / "_toc.yml").write_text(toc)
        _render(root, source)
        html = root / "_build" / "html"
        absent = [page for page in contents.files if not (html / f"{page}.html").exists()]
        if absent or not (html / "index.html").exists():
            raise RunError(f"the book lacks the pages {absent or 'index.html'}")
        return html / "index.html"


def _stage(root: Path, folder: Path, source: Path) -> None:
    """Copy prose, results, code and scripts to where Jupyter Book finds them."""
    shutil.rmtree(source, ignore_errors=True)
    prose = shutil.ignore_patterns("published", "repeated")
    shutil.copytree(root / "book", source / "book", ignore=prose)
    shutil.copytree(folder, source / RESULTS, ignore=shutil.ignore_patterns(".*"))
    code = shutil.ignore_patterns("__*", "*.json", "*.typed")
    shutil.copytree(Path(__file__).parents[1], source / "book" / "code", ignore=code)
    (source / "_config.yml").write_text(yaml.safe_dump(configuration(root)))
    _copy_scripts(source / "book" / "_static")


def configuration(root: Path) -> dict[str, Any]:
    """The settings of Jupyter Book; without links to a repository whose address is a placeholder.

    ``repository: url`` is the one place that names the repository: once it is a real one, every
    page links to its source, to the issues, and to Colab and Binder.
    """
    settings: dict[str, Any] = yaml.safe_load((root / "_config.yml").read_text())
    if PLACEHOLDER in settings["repository"]["url"]:
        del settings["repository"]
        del settings["launch_buttons"]
        settings["html"] |= {"use_repository_button": False, "use_issues_button": False}
    return settings


def write_generated_pages(
    root: Path, folder: Path, listing: Listing, runs: Sequence[Run], records: Records
) -> None:
    """The tables and sentences that prose pages include, from records and settings."""
    verdicts = judged(read_claims(root), records)
    texts = {
        "settings.md": _settings(),
        "claims.md": claims_page(verdicts, records),
        "runs.md": runs_page(records, profile_of(root, listing.profile).lanes),
        "origin.md": _origin(listing, records),
        "summary.md": summary(verdicts),
        "accuracies.md": accuracies(runs, records),
        "verdicts.md": verdicts_in_words(verdicts),
        "costs.md": costs(records),
        "parameters.md": _parameters(root),
        "where.md": where(read_paper_items(root), records),
        "launch.md": _launch(root),
        "repeated.md": repeated(root, records),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)


def _settings() -> str:
    rows = [{"name": f"`{name}`"} | chosen.summary() for name, chosen in SETTINGS.items()]
    return markdown_table(rows) + "\n"


def _origin(listing: Listing, records: Records) -> str:
    """Of which profile the results are, and what they were run on."""
    devices = sorted({record.provenance.device for record in records.values()})
    return (
        f"The results in this copy of the book come from the profile `{listing.profile}` "
        f"({listing.description}), run on: {', '.join(devices)}.\n"
    )


def _launch(root: Path) -> str:
    """How to run a chapter without a checkout, and where the checkout comes from."""
    settings = configuration(root)
    if "repository" not in settings:
        return (
            "This copy of the book comes from a checkout whose `_config.yml` names no public "
            "repository yet (`repository: url`), so its pages have no links to one.\n"
        )
    address = settings["repository"]["url"]
    return (
        f"The repository is [{address}]({address}). Without a checkout, the rocket at the top of a "
        "chapter opens it on Colab or Binder: its first cell, hidden in the book, installs the "
        "package where it is missing. The small digits come with it; to use them set `setting` to "
        "a name that begins with `mnist5k` or `digits`, or bring Fashion-MNIST as the error "
        "message says.\n"
    )


def _parameters(root: Path) -> str:
    """Every parameter of every notebook."""
    parts = []
    for path in notebooks(root):
        rows = [
            {
                "parameter": f"`{parameter.name}`",
                "type": parameter.kind,
                "default": f"`{shown(parameter)}`",
                "meaning": parameter.help,
            }
            for parameter in parameters(path).values()
        ]
        parts.append(f"## {path.stem}\n\n{markdown_table(rows)}\n")
    return "\n".join(parts)


def where(items: Sequence[PaperItem], runs: Collection[str]) -> str:
    """Which figures of these runs show which item of the paper."""
    rows = []
    for item in items:
        there = [figure for figure in item.figures if figure.partition("-")[0] in runs]
        references = ", ".join(f"{{numref}}`{figure}`" for figure in there)
        rows.append({"paper": item.paper, "here": references or "not in this profile"})
    return markdown_table(rows) + "\n"


def _runs_of(root: Path, listing: Listing, records: Records) -> list[Run]:
    """The entries of these runs in their profile. Raises `RunError` for a run that it lacks."""
    known = {run.name: run for run in profile_of(root, listing.profile).runs}
    if unknown := sorted(set(records) - set(known)):
        raise RunError(
            f"the profile {listing.profile} has no runs {', '.join(unknown)} any more; "
            "reproduce it again"
        )
    return [known[name] for name in records]


def _write_chapters(root: Path, folder: Path, runs: Sequence[Run], records: Records) -> None:
    """Every executed notebook in `folder` as the `chapter` that it becomes."""
    claims = read_claims(root)
    for run in runs:
        path = folder / f"{run.name}.ipynb"
        page = pages.chapter(root, path, run, claims, records)
        nbformat.write(page, path)
        if run.name == LANDING.partition("-")[0]:
            (folder / f"{LANDING}.png").write_bytes(pages.picture(page, LANDING))


def arranged(contents: Contents, runs: Sequence[Run]) -> Contents:
    """The table of contents with these runs in place of the published ones, each in its part."""
    parts = []
    for part in contents.parts:
        prose = [chapter for chapter in part.chapters if not chapter.file.startswith(RESULTS)]
        mine = _nested([run for run in runs if run.part == part.caption])
        if prose or mine:
            parts.append(part.model_copy(update={"chapters": prose + mine}))
    return contents.model_copy(update={"parts": parts})


def _nested(runs: Sequence[Run]) -> list[Chapter]:
    """The pages of runs, those of one notebook below the first of them."""
    chapters: dict[str, Chapter] = {}
    for run in runs:
        page = Chapter(file=RESULTS + run.name)
        if first := chapters.get(run.notebook):
            first.sections.append(page)
        else:
            chapters[run.notebook] = page
    return list(chapters.values())


def _copy_scripts(static: Path) -> None:
    """MathJax in one file (SVG, no fonts) and Plotly: both work offline, from the book itself."""
    static.mkdir(exist_ok=True)
    for package, script, name in SCRIPTS:
        found = find_spec(package)
        if found is None or found.origin is None:
            raise RunError(f"{package} is not installed; run `make env`")
        shutil.copy(Path(found.origin).parent / script, static / name)


def _render(root: Path, source: Path) -> None:
    """Run Jupyter Book; its output is shown only when it fails."""
    call = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", call, "build", str(source)]
    command += ["--path-output", str(root), "-W", "-n", "--keep-going"]
    html = root / "_build" / "html"
    shutil.rmtree(html, ignore_errors=True)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"the book was not built:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    for page in html.rglob("*.html"):
        page.write_text(THEBE.sub("", page.read_text()))

"""The book builds from the published results without a network, and its pages keep its promises."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean

import pytest
import yaml
from conftest import ROOT

from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.plans import Run
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.reading import read_claims, read_contents, read_paper_items
from trajtransfer.publish import build, repeats
from trajtransfer.publish.profiles import profile_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("book")]

PUBLISHED = ROOT / "book" / "published"
PROFILES = sorted(path.stem for path in (ROOT / "notebooks" / "profiles").glob("*.yaml"))
LOADING = ("script", "img", "iframe", "source")  # what loads what it names


def pages(html: Path) -> list[Path]:
    return sorted(html.rglob("book/**/*.html"))


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, page: Path):
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, *kinds: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.found if tag in kinds]


def links(page: Path) -> list[str]:
    return [attributes.get("href", "") for attributes in Tags(page).of("a")]


def names_of(profile: str) -> list[str]:
    return profile_of(ROOT, profile).names


def test_every_entry_of_the_table_of_contents_has_a_page(html):
    files = read_contents(ROOT).files
    assert all((html / f"{file}.html").exists() for file in files)
    assert (html / "index.html").exists()
    runs = [f"book/published/{run}" for run in results.read(PUBLISHED)[1]]
    assert sorted(runs) == sorted(file for file in files if "published" in file)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_runs_of_a_profile_stand_in_the_parts_that_they_name(profile):
    runs = profile_of(ROOT, profile).runs
    contents = build.arranged(read_contents(ROOT), runs)
    found = {
        file.removeprefix(build.RESULTS): part.caption
        for part in contents.parts
        for chapter in part.chapters
        for file in chapter.files
        if file.startswith(build.RESULTS)
    }
    assert found == {run.name: run.part for run in runs}
    before = [file for file in read_contents(ROOT).files if "published" not in file]
    assert [file for file in contents.files if "published" not in file] == before


def test_the_published_pages_stand_where_their_profile_says():
    listing, records = results.read(PUBLISHED)
    known = {run.name: run for run in profile_of(ROOT, listing.profile).runs}
    contents = read_contents(ROOT)
    assert build.arranged(contents, [known[name] for name in records]) == contents


def test_runs_of_one_notebook_stand_below_the_first_of_them():
    part = "The experiments"
    names = ["a", "b", "c", "d"]
    kinds = ["transfer", "basins", "transfer", "transfer"]
    runs = [Run(name=n, notebook=k, part=part) for n, k in zip(names, kinds, strict=True)]
    (mine,) = [p for p in build.arranged(read_contents(ROOT), runs).parts if p.caption == part]
    files = [[file.removeprefix(build.RESULTS) for file in x.files] for x in mine.chapters]
    assert files == [["a", "c", "d"], ["b"]]


def test_a_part_without_pages_is_left_out():
    contents = build.arranged(read_contents(ROOT), [])
    assert "The symmetry" not in contents.captions  # it has no prose of its own
    assert "The algorithm" in contents.captions


def test_every_item_of_the_paper_has_a_figure_in_the_published_results():
    items = read_paper_items(ROOT)
    runs = list(results.read(PUBLISHED)[1])
    assert len(items) == 17 + 1  # and a chapter beyond it
    assert "not in this profile" not in build.where(items, runs)
    known = {name for profile in PROFILES for name in names_of(profile)}
    figures = [figure for item in items for figure in item.figures]
    assert {figure.partition("-")[0] for figure in figures} <= known


def test_the_runs_that_decide_claims_stand_among_the_items_of_the_paper():
    figures = [figure for item in read_paper_items(ROOT) for figure in item.figures]
    checks = [check for claim in read_claims(ROOT).claims for check in claim.checks]
    deciding = {check.record for check in checks if check.primary}
    assert deciding <= {figure.partition("-")[0] for figure in figures}


def test_items_of_the_paper_that_a_profile_lacks_say_so():
    item = read_paper_items(ROOT)[0]
    there = build.where([item], ["permutation_symmetry"])
    assert "| {numref}`permutation_symmetry-diagram`, " in there and "coordinate" not in there
    assert "| not in this profile |" in build.where([item], ["theorem"])


def test_every_item_of_the_paper_stands_on_the_first_page(html):
    text = (html / "book" / "introduction.html").read_text()
    assert all(item.paper.partition(",")[0] in text for item in read_paper_items(ROOT))


def test_the_page_of_parameters_shows_lists_as_they_are_given():
    text = build._parameters(ROOT)
    assert "| `lengths` | list | `[2, 5, 10]` | lengths T of the trajectory |" in text
    assert '| `groups` | list | `["1-2, 1-3, 1-4"]` |' in text
    assert "| `pair` | str | `'1-2'` |" in text


def test_commands_on_the_page_of_what_is_open_name_runs_of_the_paper_profile():
    named = re.findall(r"--only ([^`]+)`", (ROOT / "book" / "scope.md").read_text())
    runs = {run for names in named for run in names.split()}
    assert len(named) >= 5 and runs <= set(names_of("paper"))


def test_nothing_is_loaded_from_elsewhere(html):
    for page in html.rglob("*.html"):
        tags = Tags(page)
        loaded = [attributes.get("src", "") for attributes in tags.of(*LOADING)]
        linked = [one for one in tags.of("link") if one.get("rel") != "canonical"]
        loaded += [attributes.get("href", "") for attributes in linked]
        assert not [place for place in loaded if re.match(r"(https?:)?//", place)], page
    for style in html.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text()), style


def test_mathematics_is_local(html):
    page = html / "book" / "introduction.html"
    scripts = [attributes.get("src", "") for attributes in Tags(page).of("script")]
    (script,) = [place for place in scripts if "mathjax" in place]
    assert (page.parent / script.split("?")[0]).resolve().stat().st_size > 1_000_000


def test_local_links_and_downloads_exist(html):
    for page in pages(html):
        for link in links(page):
            place = link.split("#")[0].split("?")[0]
            if place and not re.match(r"\w+:", place):
                assert (page.parent / place).resolve().exists(), (page, place)
    downloads = links(html / "book/published/transfer.html")
    assert any("transfer-curves.csv" in link for link in downloads)


IN_THE_REPOSITORY = (
    r"github\.com/somebody.*/(?:blob|tree|edit)/main/",
    r"colab.*somebody.*/blob/main/",
    r"mybinder.*somebody.*/lab/tree/",
)


def test_repository_links_name_tracked_files(html):
    """The fixture gives the repository an address: then every page links to it."""
    command = ["git", "ls-files"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = listed.stdout.split()
    for page in pages(html):
        for _, attributes in Tags(page).found:
            for place in IN_THE_REPOSITORY:
                found = re.match(f"https://{place}(.+)", attributes.get("href", ""))
                assert not found or found.group(1) in tracked, found.group(1)
    launched = [link for link in links(html / "book/published/transfer.html") if "somebody" in link]
    assert sum("colab" in link or "mybinder" in link for link in launched) == 2
    assert any("github.com/somebody" in link for link in links(html / "book/rerun.html"))


def test_a_placeholder_of_a_repository_reaches_no_page():
    """The one address is that of `_config.yml`; until it is a real one, nothing is made of it."""
    given = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert build.PLACEHOLDER in given["repository"]["url"]
    settings = build.configuration(ROOT)
    assert not re.search("OWNER|colab|mybinder", yaml.safe_dump(settings) + build._launch(ROOT))
    html = settings["html"]
    assert not html["use_repository_button"] and not html["use_issues_button"]
    for path in [ROOT / "README.md", *(ROOT / "notebooks").glob("*.ipynb")]:
        assert "OWNER" not in path.read_text() and "github.com" not in path.read_text()


def test_figures_are_numbered_captioned_and_described(html):
    for page in sorted((html / "book" / "published").glob("*.html")):
        images = [one for one in Tags(page).of("img") if "_images" in one.get("src", "")]
        assert images and all(len(image.get("alt", "")) > 80 for image in images), page
        assert page.read_text().count('class="caption-number"') == len(images)


def test_pages_and_images_are_small(html):
    assert all(page.stat().st_size < 1_500_000 for page in pages(html))


def test_values_are_pasted(html):
    """Numbers that prose quotes come from the record."""
    record = json.loads((PUBLISHED / "trajectories_cosine.json").read_text())
    mean = fmean(record["measures"]["gmt-cosine-gain"])
    text = re.sub(r"<[^>]+>", "", (html / "book" / "deviations.html").read_text())
    assert f"final accuracy of GMT by {100 * mean:.1f} points" in re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("profile", sorted({*PROFILES} - {"reference", "repeat"}))
def test_prose_quotes_and_links_runs_that_every_profile_has(profile):
    """So that the results of each can make a book; two profiles are there to be compared with."""
    quoted = set()
    for path in (ROOT / "book").glob("*.md"):
        quoted |= set(re.findall(r"published/(\w+)\.ipynb", path.read_text()))
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        prose = "".join("".join(x["source"]) for x in cells if x["cell_type"] == "markdown")
        quoted |= set(re.findall(r"\((\w+)\.ipynb", prose))
    assert len(quoted) > 5 and quoted <= set(names_of(profile))


def test_what_was_made_again_differs_in_threads_alone_and_stands_beside(html):
    """The table of repeated checks is that of the records, all of them compared."""
    _, first = results.read(PUBLISHED)
    _, again = results.read(ROOT / repeats.REPEATED)
    runs = {run.name: run for run in profile_of(ROOT, "laptop").runs}
    for run in profile_of(ROOT, "repeat").runs:
        other = runs[run.name]
        assert (run.notebook, run.parameters) == (other.notebook, other.parameters)
        assert run.threads != other.threads
        origins = [records[run.name].provenance for records in (first, again)]
        assert "(1 of 2 cores)" in origins[0].device and "(2 of 2 cores)" in origins[1].device
    text = (html / "book" / "runs.html").read_text()
    assert f"Compared: within tolerances, {', '.join(again)}." in text
    assert "Not compared" not in text


def test_verdicts_are_those_of_the_records(html):
    text = (html / "book" / "claims.html").read_text()
    assert "C15" in text and "holds" in text and "undecided" in text


PROSE = {*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").rglob("*.*[!s]")}
# What is no prose: code, formulas, tags, addresses; and numbers that are names.
NO_PROSE = r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|```.*?```|<[^>]*>|\]\([^)]*\)"
NAMED = (
    r"([Ss]ection|sections|[Aa]ppendix|Theorem|Lemma|Python|CC BY|Apache-)"
    r"\s*[A-Z]?\.?\d+(\.\d+)*( and \d(\.\d)?)?"
)


def prose_of(page: Path) -> str:
    """What a page, a profile or a notebook says."""
    text = page.read_text()
    if page.suffix == ".yaml":
        runs = yaml.safe_load(text)["runs"]
        return "\n".join(run.get("note", "") + run.get("title", "") for run in runs)
    if page.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return text


@pytest.mark.parametrize("page", sorted(PROSE), ids=lambda p: p.name)
def test_no_result_is_typed_by_hand(page):
    """Prose holds no stray decimals or percentages: results are glued or generated.

    The page of trials is about what no run of this book holds, and says so.
    """
    if page.name == "recipes.md":
        assert "typed from those trials" in page.read_text()
        return
    text = re.sub(NO_PROSE, "", prose_of(page), flags=re.DOTALL)
    assert not re.findall(r"\d+\.\d+|\d+\s?%", re.sub(NAMED, "", text))


def test_missing_results_are_an_error(tmp_path):
    with pytest.raises(RunError, match=r"no results\.json.*trajtransfer reproduce"):
        build.book(ROOT, tmp_path)

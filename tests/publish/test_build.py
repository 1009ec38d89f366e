"""The book: it builds from the published results without a network, and its pages keep the promises of the first one."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from trajtransfer.paper.storage import results
from trajtransfer.publish import build
from trajtransfer.publish.runner import RunError

PUBLISHED = ROOT / "book" / "published"


def pages(html: Path) -> list[Path]:
    return sorted(html.rglob("book/**/*.html"))


class Tags(HTMLParser):
    def __init__(self, page: Path):
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {k: v or "" for k, v in attrs}))


def test_every_entry_of_the_table_of_contents_has_a_page(html):
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    assert all((html / f"{file}.html").exists() for file in files) and (html / "index.html").exists()
    runs = list(results.read(PUBLISHED)[1])
    assert sorted(f"book/published/{run}" for run in runs) == sorted(f for f in files if "published" in f)


def test_runs_of_another_profile_find_their_parts():
    runs = [e["name"] for e in yaml.safe_load((ROOT / "notebooks" / "profiles" / "paper.yaml").read_text())["runs"]]
    toc = build._toc(ROOT, runs)
    parts = {part["caption"]: [c["file"].rpartition("/")[2] for c in part["chapters"]] for part in toc["parts"]}
    assert sorted(run for names in parts.values() for run in names if run in runs) == sorted(runs)
    assert "transfer_pretrained_cars" in parts["The experiments"] and "ensembles_cars" in parts["Beyond"]
    assert "trajectories_cub" in parts["The algorithm"] and "assumption_p_resnet18" in parts["The assumption"]


def test_every_item_of_the_paper_has_a_figure_in_the_published_results(html):
    items = yaml.safe_load((ROOT / "book" / "where.yml").read_text())
    runs = list(results.read(PUBLISHED)[1])
    assert len(items) == 17 and "not in this profile" not in build._where(items, runs)
    known = {e["name"] for p in (ROOT / "notebooks" / "profiles").glob("*.yaml") for e in yaml.safe_load(p.read_text())["runs"]}
    assert {label.partition("-")[0] for item in items for label in item["figures"]} <= known
    text = (html / "book" / "introduction.html").read_text()
    assert all(item["paper"].partition(",")[0] in text for item in items)


def test_commands_on_the_page_of_what_is_open_name_runs_of_the_paper_profile():
    runs = {e["name"] for e in yaml.safe_load((ROOT / "notebooks" / "profiles" / "paper.yaml").read_text())["runs"]}
    named = re.findall(r"--only ([^`]+)`", (ROOT / "book" / "scope.md").read_text())
    assert len(named) >= 5 and {run for names in named for run in names.split()} <= runs


def test_nothing_is_loaded_from_elsewhere(html):
    for page in html.rglob("*.html"):
        for tag, attributes in Tags(page).found:
            if tag in ("script", "img", "iframe", "source") or (tag == "link" and attributes.get("rel") != "canonical"):
                address = attributes.get("src") or attributes.get("href") or ""
                assert not re.match(r"(https?:)?//", address), (page, tag, address)
    for style in html.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text()), style


def test_mathematics_is_local(html):
    page = html / "book" / "introduction.html"
    (script,) = [a["src"] for tag, a in Tags(page).found if tag == "script" and "mathjax" in a.get("src", "")]
    assert (page.parent / script.split("?")[0]).resolve().stat().st_size > 1_000_000


def test_local_links_and_downloads_exist(html):
    for page in pages(html):
        for tag, attributes in Tags(page).found:
            address = attributes.get("href", "").split("#")[0].split("?")[0]
            if tag == "a" and address and not re.match(r"\w+:", address):
                assert (page.parent / address).resolve().exists(), (page, address)
    assert any("transfer-curves.csv" in a.get("href", "") for _, a in Tags(html / "book/published/transfer.html").found)


def test_repository_links_name_tracked_files(html):
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for page in pages(html):
        for _, attributes in Tags(page).found:
            for place in (
                r"github\.com/OWNER.*/(?:blob|tree|edit)/main/",
                r"colab.*OWNER.*/blob/main/",
                r"mybinder.*OWNER.*/lab/tree/",
            ):
                found = re.match(f"https://{place}(.+)", attributes.get("href", ""))
                assert not found or found.group(1) in tracked, found.group(1)
    launched = [
        a["href"] for tag, a in Tags(html / "book/published/transfer.html").found if tag == "a" and "OWNER" in a.get("href", "")
    ]
    assert sum("colab" in address or "mybinder" in address for address in launched) == 2


def test_figures_are_numbered_captioned_and_described(html):
    for page in sorted((html / "book" / "published").glob("*.html")):
        images = [a for tag, a in Tags(page).found if tag == "img" and "_images" in a.get("src", "")]
        assert images and all(len(a.get("alt", "")) > 80 for a in images), page
        assert page.read_text().count('class="caption-number"') == len(images)


def test_pages_and_images_are_small(html):
    assert all(page.stat().st_size < 1_500_000 for page in pages(html))


def test_values_are_pasted(html):
    """Numbers that prose quotes come from the record."""
    record = json.loads((PUBLISHED / "transfer.json").read_text())
    mean = sum(record["measures"]["gmt-first"]) / 3
    text = re.sub(r"<[^>]+>", "", (html / "book" / "introduction.html").read_text())
    assert f"{mean:.1%} of the validation images" in re.sub(r"\s+", " ", text).replace(" %", "%")


def test_verdicts_are_those_of_the_records(html):
    text = (html / "book" / "claims.html").read_text()
    assert "C15" in text and "holds" in text and "fails" in text


PROSE = sorted({*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").rglob("*.*[!s]")} - {ROOT / "book" / "repeats.md"})


@pytest.mark.parametrize("page", PROSE, ids=lambda p: p.name)
def test_no_result_is_typed_by_hand(page):
    """Prose holds no stray decimals or percentages: results are glued or generated."""
    text = page.read_text()
    if page.suffix == ".yaml":
        text = "\n".join(entry.get("note", "") + entry.get("title", "") for entry in yaml.safe_load(text)["runs"])
    if page.suffix == ".ipynb":
        text = "\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")
    text = re.sub(r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|```.*?```|<[^>]*>|\]\([^)]*\)", "", text, flags=re.DOTALL)
    text = re.sub(
        r"(section|sections|[Aa]ppendix|Theorem|Lemma|Python|CC BY|Apache-)\s*[A-Z]?\.?\d+(\.\d+)*( and \d(\.\d)?)?", "", text
    )
    assert not re.findall(r"\d+\.\d+|\d+\s?%", text)


def test_missing_results_are_an_error(tmp_path):
    with pytest.raises(RunError, match=r"no results\.json.*trajtransfer reproduce"):
        build.book(ROOT, tmp_path)

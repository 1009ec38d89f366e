"""The published book in a real browser, over a local server and from disk.

The browser is Debian's chromium, driven by playwright. Skipped, with the reason in pytest's
summary, where none is installed.
"""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT
from playwright.sync_api import Browser, Page, sync_playwright

from trajtransfer.paper.storage import results
from trajtransfer.publish.profiles import profile_of

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
WITHOUT = "no chromium on the path: apt install chromium to check the book in it"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("book"),
    pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT),
]
# Colours that go over from one theme into another are those of neither.
AT_REST = """() => Promise.allSettled(
    document.getAnimations()
        .filter(a => Number.isFinite(a.effect.getComputedTiming().endTime))
        .map(a => a.finished)).then(() => null)"""
SERIOUS = {"serious", "critical"}
# Whether the focus is where nobody can see it.
UNSEEN = """(() => {
  const at = document.activeElement, style = getComputedStyle(at);
  const plain = style.outlineStyle === "none" && style.boxShadow === "none";
  return at !== document.body && plain;
})()"""
BARE_IMAGES = "[...document.images].filter(i => !i.alt || !i.naturalWidth).map(i => i.src)"
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1300, "height": 900}
ALL_BUT_COLOURS = {"rules": {"color-contrast": {"enabled": False}}}
# A page of every kind, and the part of it that is looked at: the whole reference takes a minute.
READ = {
    "introduction": None,
    "claims": None,
    "algorithms": None,
    "recipes": None,
    "published/transfer": None,
    "api": "dl:has(> #trajtransfer\\.transfer)",
}
# Code of which a line is cut off: on a phone it may scroll.
CUT_OFF = """[...document.querySelectorAll('.cell_input pre')].filter(p => p.innerText &&
  p.scrollWidth > p.clientWidth + 1 && (innerWidth > 600 ||
  getComputedStyle(p).overflowX !== 'auto')).map(p => p.innerText.slice(0, 60))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(html) -> Iterator[str]:
    """The book behind a server of this machine, as readers get it."""
    handler = functools.partial(Quiet, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Reader:
    """One window in which pages are opened one after another, and what they complain about."""

    def __init__(self, browser: Browser, theme: str = "light"):
        self.context = browser.new_context(viewport=DESK, color_scheme=theme)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.origin = ""
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._watch)
        self.page.on("response", self._check)

    def _hear(self, message) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _watch(self, request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.complaints.append(f"remote: {request.url}")

    def _check(self, response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {response.url}")

    def open(self, where: str) -> tuple[Page, list[str]]:
        """A page after loading, with its console errors, failures and requests to anywhere else."""
        self.complaints.clear()
        self.origin = where[: where.index("/", 8)] if where.startswith("http") else "file:"
        self.page.goto(where, wait_until="load")
        self.page.wait_for_function(
            "!document.querySelector('.math') || document.querySelector('mjx-container')"
        )
        return self.page, self.complaints


@contextmanager
def reader(browser: Browser, **how) -> Iterator[Reader]:
    found = Reader(browser, **how)
    try:
        yield found
    finally:
        found.context.close()


@contextmanager
def opened(browser: Browser, where: str) -> Iterator[tuple[Page, list[str]]]:
    with reader(browser) as window:
        yield window.open(where)


def names(html: Path) -> list[str]:
    return [str(path.relative_to(html)) for path in sorted(html.rglob("book/**/*.html"))]


def violations(page: Page, rules: dict[str, object], where: str | None = None) -> list[tuple]:
    """Serious violations that axe-core finds, by some of its rules, on a page or a part of it."""
    page.evaluate(AT_REST)
    options = {"resultTypes": ["violations"], **rules}  # to list what is fine takes as long
    found = Axe().run(page, context=where, options=options).response["violations"]
    return [(v["id"], v["nodes"][0]["html"][:120]) for v in found if v["impact"] in SERIOUS]


def untypeset(page: Page) -> list[str]:
    """What is wrong with the formulas of a page."""
    formulas = page.locator(".math").count()
    typeset = page.locator(".math mjx-container").count()
    broken = page.locator("mjx-merror, [data-mjx-error]").count()
    if formulas == typeset and not broken:
        return []
    return [f"{typeset} of {formulas} formulas are typeset, {broken} are broken"]


def variants() -> set[str]:
    """The pages of all runs of a notebook but the first: cells of another page, other numbers."""
    pages = {}
    for run in profile_of(ROOT, results.read(ROOT / "book" / "published")[0].profile).runs:
        pages.setdefault(run.notebook, []).append(f"book/published/{run.name}.html")
    return {name for _, *others in pages.values() for name in others}


def test_every_page_is_clean_typeset_described_accessible_and_fits_a_phone(browser, address, html):
    """Axe looks at one page of every notebook; colours have a test of their own.

    On a phone code scrolls inside its box; on a desk every line of a notebook is seen.
    """
    troubles = {}
    seen = names(html)
    skipped = variants()
    assert skipped < set(seen)
    with reader(browser) as window:
        for name in seen:
            page, complaints = window.open(f"{address}/{name}")
            bad = [*complaints, *untypeset(page), *page.evaluate(BARE_IMAGES)]
            bad += page.evaluate(CUT_OFF)
            if name not in skipped:
                bad += violations(page, ALL_BUT_COLOURS)
            page.set_viewport_size(PHONE)
            bad += page.evaluate(CUT_OFF)
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > PHONE["width"]:
                bad.append(f"{width} wide on a phone")
            page.set_viewport_size(DESK)
            if bad:
                troubles[name] = bad
    assert not troubles


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", READ)
def test_colours_differ_enough_from_their_background(browser, address, name, theme):
    """On one page of every kind: prose, tables, the reference, boxes with code, a chapter."""
    with reader(browser, theme=theme) as window:
        page, _ = window.open(f"{address}/book/{name}.html")
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert READ[name] is None or page.locator(READ[name]).count() == 1
        assert not violations(page, {"runOnly": ["color-contrast"]}, READ[name])


def test_search_finds_a_term(browser, address):
    with opened(browser, f"{address}/search.html?q=permutation") as (page, complaints):
        page.wait_for_selector("#search-results li a")
        assert page.locator("#search-results li").count() >= 5 and not complaints


def test_the_theme_can_be_switched(browser, address):
    with opened(browser, f"{address}/book/introduction.html") as (page, complaints):
        seen = []
        for _ in range(3):
            seen.append(page.evaluate("document.documentElement.dataset.theme"))
            page.locator("button.theme-switch-button").first.click()
        assert {"light", "dark"} <= set(seen) and not complaints


def test_the_keyboard_reaches_the_navigation_and_what_scrolls(browser, address):
    with opened(browser, f"{address}/book/published/transfer.html") as (page, _):
        reached = set()
        unseen = []
        for _ in range(100):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.closest('nav, table, pre')?.tagName"))
            if "NAV" in reached and page.evaluate(UNSEEN):
                unseen.append(page.evaluate("document.activeElement.outerHTML.slice(0, 100)"))
        assert {"NAV", "TABLE"} <= reached and not unseen


def test_a_newcomer_reaches_the_command_for_figure_5_in_two_clicks(browser, address):
    with opened(browser, f"{address}/index.html") as (page, _):
        page.wait_for_url("**/book/introduction.html")
        page.get_by_role("link", name="Figure 5", exact=True).first.click()
        page.get_by_role("link", name="Data and provenance").first.click()
        command = page.locator("pre", has_text="trajtransfer run transfer").first
        assert command.is_visible() and "-p setting=" in command.inner_text()


def of_a_preloaded_font(words: str) -> bool:
    """A browser loads none from disk, and says so; the page asks for it again and gets it."""
    return not words.startswith("remote:") and ("fa-" in words or "ERR_FAILED" in words)


def test_the_book_opens_from_disk(browser, html):
    with opened(browser, (html / "book/introduction.html").as_uri()) as (page, complaints):
        assert not [words for words in complaints if not of_a_preloaded_font(words)]
        assert page.locator(".math mjx-container").count() >= 3
        assert page.evaluate("[...document.images].every(i => i.naturalWidth > 0)")


TRAVELLED = "[...document.querySelectorAll('.explored .scatterlayer')].map(x => x.innerHTML).join()"


def slide_to_the_end(page):
    """Until what is drawn has changed."""
    page.wait_for_selector(".explored .slider-group")
    before = page.evaluate(TRAVELLED)
    page.locator(".explored .slider-group").scroll_into_view_if_needed()
    box = page.locator(".explored .slider-rail-rect").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    page.wait_for_function(f"({TRAVELLED}) !== {json.dumps(before)}")


def test_a_slider_moves_the_networks_along_the_trajectory(browser, address):
    with opened(browser, f"{address}/book/published/permutation_symmetry.html") as (page, faults):
        page.locator("details.explore summary").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".explored .annotation-text")
        words = page.locator(".explored .annotation-text").all_text_contents()
        slide_to_the_end(page)
        assert page.locator(".explored .annotation-text").all_text_contents() != words
        assert not faults


def test_a_slider_moves_a_step_through_the_plane(browser, address):
    with opened(browser, f"{address}/book/published/basins_pretrained.html") as (page, faults):
        page.locator("details.explore summary", has_text="Move through the plane").click()
        far = page.locator(".explored text", has_text="off the plane")
        far.wait_for()
        words = far.text_content()
        slide_to_the_end(page)
        assert far.text_content() != words
        assert not faults


def test_curves_show_their_values_and_can_be_switched_off(browser, address):
    with opened(browser, f"{address}/book/published/transfer.html") as (page, faults):
        page.locator("details.explore summary").first.click()
        page.wait_for_selector(".explored .legend .traces")
        shown = page.locator(".explored .trace.scatter").count()
        page.locator(".explored .scatterlayer .point").nth(2).scroll_into_view_if_needed()
        box = page.locator(".explored .scatterlayer .point").nth(2).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector(".explored .hovertext")
        assert "n = " in page.locator(".explored .hovertext").first.text_content()
        page.locator(".explored .legendtoggle").first.click()
        page.wait_for_function(
            f"document.querySelectorAll('.explored .trace.scatter').length < {shown}"
        )
        assert not faults


def test_what_is_folded_opens_by_keyboard(browser, address):
    with opened(browser, f"{address}/book/published/transfer.html") as (page, _):
        folded = page.locator("details:has(> summary:has-text('parameters'))").first
        assert not folded.evaluate("found => found.open")
        folded.locator("summary").focus()
        page.keyboard.press("Enter")
        assert folded.evaluate("found => found.open")
        assert "setting: str" in folded.inner_text()

"""A chapter: the words of its notebook, the outputs of an executed copy, what claims make of them.

Prose can so be mended without running anything; code cannot, and a chapter whose code has changed
is refused.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from trajtransfer.paper.claims import Records, Verdict, judged
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.plans import Claims, Run
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.reading import read_notebook
from trajtransfer.paper.units import REST
from trajtransfer.publish.claim_tables import WORDS, checks_table, link, words_of
from trajtransfer.publish.explore import explored
from trajtransfer.publish.labels import label
from trajtransfer.publish.parameters import written

PROMPTS = {
    "code_prompt_show": "Show the parameters of this run",
    "code_prompt_hide": "Hide the parameters of this run",
}
FOOT = "## Data and provenance"
TITLE = re.compile(r"^# (.*) \((.*)\)$", re.MULTILINE)


def chapter(root: Path, executed: Path, run: Run, claims: Claims, records: Records) -> NotebookNode:
    """The page of a run: `run` is its entry in the profile, `executed` its copy with outputs.

    Raises `RunError` when the code of the notebook is not the one that was run, and `DocumentError`
    for a file that is no notebook.
    """
    record = records[run.name]
    notebook = root / "notebooks" / f"{run.notebook}.ipynb"
    page = read_notebook(notebook, "take it from the repository again")
    label(page, run)
    page.cells[0].source = _short_titled(page.cells[0].source)
    again = f"run it again: {_command(record, run)}"
    _take_outputs(page, read_notebook(executed, again), run.name, again)
    _explore(page, run, record)
    foot = next(n for n, cell in enumerate(page.cells) if cell.source.startswith(FOOT))
    page.cells[foot].source += "\n\n" + _again(run, record)
    if mine := _verdicts(claims, run, records):
        page.cells.insert(foot, new_markdown_cell(_found(mine, run, records)))
        page.cells.insert(1, new_markdown_cell(_claimed(mine, run)))
    elif run.finding:
        page.cells.insert(foot, new_markdown_cell(_heading(run)))
    for number, cell in enumerate(page.cells):
        cell.id = f"cell-{number}"
    return page


def _short_titled(text: str) -> str:
    """What stands in parentheses at the end of a title becomes a line below it."""
    return TITLE.sub(lambda found: f"# {found[1]}\n\n*{found[2][0].upper()}{found[2][1:]}*", text)


def _explore(page: NotebookNode, run: Run, record: RecordFile) -> None:
    """Put figures to explore below the still ones that have such a twin."""
    cells = []
    for cell in page.cells:
        cells.append(cell)
        name = (_figure_name(cell) or "").replace(run.name, run.notebook, 1)
        if html := explored(name, record):
            cells.append(new_markdown_cell(html))
    page.cells = cells


def picture(page: NotebookNode, name: str) -> bytes:
    """The figure of a page with this label, as PNG."""
    (cell,) = [cell for cell in page.cells if _figure_name(cell) == name]
    (data,) = [output.data for output in cell.outputs if "image/png" in output.get("data", {})]
    return base64.b64decode(data["image/png"])


def _figure_name(cell: NotebookNode) -> str | None:
    """The label of the figure that a cell draws."""
    name: str | None = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
    return name


def _take_outputs(page: NotebookNode, executed: NotebookNode, name: str, again: str) -> None:
    """Put executed code in the place of the notebook's own.

    What papermill injected comes along, after the parameters.
    """
    done = _code_of(executed)
    injected = [cell for cell in done if "injected-parameters" in _tags_of(cell)]
    kept = [cell for cell in done if cell not in injected]
    own = _code_of(page)
    if [cell.source for cell in own] != [cell.source for cell in kept]:
        raise RunError(f"the code of {name} has changed since it was run; {again}")
    for cell, run in zip(own, kept, strict=True):
        cell.outputs = deepcopy(run.outputs)
        cell.execution_count = run.execution_count
    for cell in injected:  # an echo of what the foot of the page says
        cell.metadata["tags"] = [*_tags_of(cell), "hide-input"]
        cell.metadata["mystnb"] = PROMPTS
    parameters = next(n for n, cell in enumerate(page.cells) if "parameters" in _tags_of(cell))
    page.cells[parameters + 1 : parameters + 1] = injected


def _code_of(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _tags_of(cell: NotebookNode) -> list[str]:
    tags: list[str] = cell.metadata.get("tags", [])
    return tags


def _command(record: RecordFile, run: Run) -> str:
    command = f"trajtransfer reproduce --profile {record.provenance.profile} --only {run.name}"
    return f"{command}, with --output for the folder of these results"


def _verdicts(claims: Claims, run: Run, records: Records) -> list[Verdict]:
    """The verdicts on the claims to which a run contributes."""
    return [
        verdict
        for verdict in judged(claims, records)
        if any(check.record == run.name for check in verdict.claim.checks)
    ]


def _claimed(verdicts: Sequence[Verdict], run: Run) -> str:
    """What the paper says of this figure, and in bold what became of it, before anything else."""
    lines = []
    for verdict in verdicts:
        claim = verdict.claim
        about = f"{link(claim.id, '../', claim.id)} ({claim.where})"
        lines.append(f"- {about}: {claim.claim} **{_here(verdict, run)}**")
    return "\n".join([":::{admonition} What the paper claims, and what it came to", *lines, ":::"])


def _here(verdict: Verdict, run: Run) -> str:
    """A verdict in a few words; where another chapter decides, a link to it."""
    finding = verdict.primary
    if finding is None:
        return "Not decided by these runs."
    words = WORDS[finding.outcome].strip("*").capitalize()
    decider = finding.check.record
    if decider == run.name:
        return f"{words}, by what this page measures."
    return f"{words}, by what [another chapter]({decider}.ipynb) measures."


def _found(verdicts: Sequence[Verdict], run: Run, records: Records) -> str:
    """The verdicts on the claims to which a run contributes, and its own checks."""
    lines = []
    for verdict in verdicts:
        claim = verdict.claim
        lines.append(f"- {link(claim.id, '../', claim.id)} {words_of(verdict)}: {claim.claim}")
    words = (
        "A claim is decided by its primary check, which may be another chapter's; the others stand "
        "beside it. The checks made here:"
    )
    table = checks_table([_made_in(run, verdict) for verdict in verdicts], records)
    return "\n".join([_heading(run), *lines, "", words, "", table])


def _heading(run: Run) -> str:
    """The heading of what was found, with the words of the run on it."""
    return "\n\n".join(filter(None, ["## What we found", run.finding, ""]))


def _made_in(run: Run, verdict: Verdict) -> Verdict:
    """A verdict with those findings alone that are of a run."""
    own = [finding for finding in verdict.findings if finding.check.record == run.name]
    return verdict._replace(findings=tuple(own))


def _again(run: Run, record: RecordFile) -> str:
    """The command that runs a page again, and what it cost here."""
    origin = record.provenance
    whole = sum(origin.seconds.values())
    rest = origin.seconds.get(REST, 0)
    place = f"../parameters.html#{run.notebook.replace('_', '-')}"
    words = (
        f'To run this page again, with any <a href="{place}">parameter</a> changed or added '
        "(here it took "
        f"{whole:.0f} s on {origin.device}, not counting networks that were trained before, and "
        f"{rest:.0f} s where its units of work are kept):"
    )
    given = [f"-p {name}={shlex.quote(written(x))}" for name, x in run.parameters.items()]
    command = " \\\n  ".join([f"trajtransfer run {run.notebook}", *given])
    return "\n".join([words, "", "```bash", command, "```"])

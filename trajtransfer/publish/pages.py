"""A chapter of the book: the words of its notebook, the outputs of an executed copy, what the claims make of its record.

Prose can so be mended without running anything; code cannot, and a chapter whose code has changed is refused.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from trajtransfer.paper.claims import checks_table, verdict
from trajtransfer.paper.storage.documents import Check, Claim, RecordFile, Run, read_notebook
from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish.runner import label

FOOT = "## Data and provenance"
Claims = Sequence[Claim]
Records = Mapping[str, RecordFile]


def chapter(root: Path, executed: Path, run: Run, claims: Claims, records: Records) -> NotebookNode:
    """The page of a run: `run` is its entry in the profile, `executed` its copy with outputs.

    Raises `RunError` when the code of the notebook is not the one that was run, and `DocumentError` for a file that
    is no notebook.
    """
    record = records[run.name]
    page = read_notebook(root / "notebooks" / f"{run.notebook}.ipynb", "take it from the repository again")
    label(page, run)
    again = f"run it again: {_command(record, run)}"
    _take_outputs(page, read_notebook(executed, again), run.name, again)
    mine = [claim for claim in claims if _checks_of(claim, run)]
    foot = next(number for number, cell in enumerate(page.cells) if cell.source.startswith(FOOT))
    page.cells[foot].source += "\n\n" + _again(run, record)
    if mine:
        page.cells.insert(foot, new_markdown_cell(_found(mine, run, records)))
        page.cells.insert(1, new_markdown_cell(_claimed(mine)))
    for number, cell in enumerate(page.cells):
        cell.id = f"cell-{number}"
    return page


def picture(page: NotebookNode, name: str) -> bytes:
    """The figure of a page with this label, as PNG."""
    (cell,) = [c for c in page.cells if c.metadata.get("mystnb", {}).get("figure", {}).get("name") == name]
    (data,) = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    return base64.b64decode(data)


def _take_outputs(page: NotebookNode, executed: NotebookNode, name: str, again: str) -> None:
    """Put executed code in the place of the notebook's own, with what papermill injected after the parameters."""
    done = [cell for cell in executed.cells if cell.cell_type == "code"]
    injected = [cell for cell in done if "injected-parameters" in cell.metadata.get("tags", [])]
    own = [cell for cell in page.cells if cell.cell_type == "code"]
    kept = [cell for cell in done if cell not in injected]
    if [cell.source for cell in own] != [cell.source for cell in kept]:
        raise RunError(f"the code of {name} has changed since it was run; {again}")
    for cell, run in zip(own, kept, strict=True):
        cell.outputs = deepcopy(run.outputs)
        cell.execution_count = run.execution_count
    parameters = page.cells.index(own[[cell.metadata.get("tags") for cell in own].index(["parameters"])])
    page.cells[parameters + 1 : parameters + 1] = injected


def _command(record: RecordFile, run: Run) -> str:
    profile = record.provenance.profile
    return f"trajtransfer reproduce --profile {profile} --only {run.name}, with --output for the folder of these results"


def _checks_of(claim: Claim, run: Run) -> list[Check]:
    return [check for check in claim.checks if check.record == run.name]


def _claimed(claims: Claims) -> str:
    lines = [f"- [{claim.id}](../claims.md) ({claim.where}): {claim.claim}" for claim in claims]
    return "\n".join([":::{admonition} What the paper claims", *lines, ":::"])


def _found(claims: Claims, run: Run, records: Records) -> str:
    """The verdicts on the claims to which a run contributes, and its own checks."""
    lines = [f"- [{claim.id}](../claims.md) {verdict(claim, records)}: {claim.claim}" for claim in claims]
    own = [claim.model_copy(update={"checks": _checks_of(claim, run)}) for claim in claims]
    table = checks_table(own, records)
    words = "A claim holds when all of its checks do, those of other chapters included. The checks made here:"
    return "\n".join(["## What we found", "", *lines, "", words, "", table])


def _again(run: Run, record: RecordFile) -> str:
    """The command that runs a page again, and what it cost here."""
    given = [f"-p {shlex.quote(f'{name}={value}')}" for name, value in run.parameters.items()]
    origin = record.provenance
    cost = f"{sum(origin.seconds.values()):.0f} s on {origin.device}, not counting networks that were trained before"
    words = f"To run this page again, with any [parameter](../parameters.md) changed (here it took {cost}):"
    return "\n".join([words, "", "```bash", " \\\n  ".join([f"trajtransfer run {run.notebook}", *given]), "```"])

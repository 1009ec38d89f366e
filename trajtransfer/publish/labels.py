"""What an executed notebook is called: it takes the name, the title and the note of its run."""

from __future__ import annotations

import re

from nbformat import NotebookNode

from trajtransfer.paper.storage.plans import Run


def label(content: NotebookNode, chosen: Run) -> None:
    """Give a notebook's labels the name of a run, and its opening words the title and the note."""
    for cell in content.cells:
        if figure := cell.metadata.get("mystnb", {}).get("figure"):
            figure["name"] = figure["name"].replace(chosen.notebook, chosen.name, 1)
            figure["caption"] = relabel(figure["caption"], chosen.notebook, chosen.name)
        if cell.cell_type == "markdown":
            cell.source = relabel(cell.source, chosen.notebook, chosen.name)
    content.cells[0].source = opening(content.cells[0].source, chosen)


def opening(text: str, chosen: Run) -> str:
    """The first cell under the title of a run, with the note on it at the end."""
    if chosen.title:
        text = re.sub(r"^# .*", lambda _: f"# {chosen.title}", text)
    return f"{text}\n\n{chosen.note}" if chosen.note else text


def relabel(text: str, notebook: str, name: str) -> str:
    """Rename labels, glued values and downloads, such as ``notebook-…`` in backticks."""
    return re.sub(rf"([`<(]){re.escape(notebook)}(?=[-.])", rf"\g<1>{name}", text)

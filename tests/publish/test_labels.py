"""An executed notebook takes the name, the title and the note of its run."""

from __future__ import annotations

from trajtransfer.paper.storage.plans import Run
from trajtransfer.publish.labels import opening, relabel


def run(**own):
    return Run(name="mine", notebook="transfer", **own)


def test_a_run_has_its_own_title_and_note():
    text = "# A title\n\nSome words, # not a title."
    assert opening(text, run()) == text
    assert opening(text, run(title=r"Another \1")) == text.replace("A title", r"Another \1")
    assert opening(text, run(note="As it was.")) == text + "\n\nAs it was."


def test_labels_follow_the_name_of_the_run():
    text = (
        "{numref}`transfer-curves` {glue:text}`transfer-gmt-first` {download}`transfer.json` "
        "(transfer-x) the transfer-notebook"
    )
    assert relabel(text, "transfer", "two") == (
        "{numref}`two-curves` {glue:text}`two-gmt-first` {download}`two.json` "
        "(two-x) the transfer-notebook"
    )

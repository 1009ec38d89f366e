"""Bars are for those who watch: nothing is written where nobody does."""

from __future__ import annotations

import sys

from trajtransfer.paper.storage.progress import progress


class Terminal:
    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def test_a_terminal_sees_how_far_and_how_long(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress(iter("abc"), "letters", total=3)) == ["a", "b", "c"]
    assert (
        "letters" in terminal.text and "/3 [" in terminal.text and "<" in terminal.text
    )  # elapsed < remaining


def test_a_log_stays_empty(capsys):
    assert list(progress("abc", "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""

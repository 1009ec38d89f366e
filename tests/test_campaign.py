"""A part of the hostile trial; `python -m tests.campaign` is the whole of it."""

from __future__ import annotations

import random

import pytest

from tests.campaign.trial import trial

pytestmark = pytest.mark.slow


def test_nothing_is_lost_and_nothing_wrong_is_taken_for_right(tmp_path):
    tallies = trial(tmp_path, random.Random(0), share=0.1)
    assert [(tally.part, tally.wrong) for tally in tallies if tally.wrong] == []
    assert all(tally.tried for tally in tallies)

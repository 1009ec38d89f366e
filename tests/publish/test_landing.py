"""The first page: every claim with its verdict, and costs with their range."""

from __future__ import annotations

import re

from hypothesis import given

from tests.publish.records import record
from tests.publish.test_claim_tables import WORDS, rows_of, verdicts
from trajtransfer.paper.storage.plans import Run
from trajtransfer.publish.claim_tables import anchored
from trajtransfer.publish.landing import ORDER, SHOWN, accuracies, costs, verdicts_in_words


@given(found=verdicts())
def test_every_claim_has_its_verdict_in_words_and_leads_to_its_row(found):
    rows = rows_of(verdicts_in_words(found).strip())
    assert len(rows) == len(found)
    expected = sorted(found, key=lambda one: ORDER.index(one.outcome))
    for (_, cell), verdict in zip(rows, expected, strict=True):
        (place, word) = re.findall(r'href="claims\.html#(\w+)">([^<]+)<', cell)[0]
        assert f'id="{place}"' in anchored(verdict.claim.id)
        assert word == WORDS[verdict.outcome].strip("*")


def test_the_accuracies_are_those_of_the_transfers_that_were_run():
    measures = {f"{method}-test": [0.1 * n, 0.1 * n + 0.02] for n, method in enumerate(SHOWN)}
    runs = [
        Run(name="a", notebook="transfer", title="Figure 5a: a perceptron (section 4.1)"),
        Run(name="b", notebook="transfer"),
        Run(name="c", notebook="basins"),
    ]
    table = accuracies(runs, {"a": record(measures), "c": record({})})
    assert table.splitlines()[2:] == [
        "| Figure 5a: a perceptron | 1.0 ± 1.4 | 11.0 ± 1.4 | 21.0 ± 1.4 | 31.0 ± 1.4 |"
    ]


def test_costs_are_the_range_over_all_transfers():
    records = {
        "transfer": record({"fgmt-cost": [0.02, 0.04], "gmt-cost": [0.1]}),
        "transfer_conv": record({"fgmt-cost": [0.2], "gmt-cost": [1.5]}),
        "cost": record({"largest": [9.0]}),
    }
    words = costs(records)
    assert "3.0 to 20.0 % by FGMT and 10.0 to 150.0 % by GMT" in words and "of 2 chapters" in words
    assert "none has a cost" in costs({"cost": records["cost"]})

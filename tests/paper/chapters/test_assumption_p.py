"""Updates of two runs under one permutation: a planted one is found, and shared mini-batches are really shared."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import trajtransfer as tt
from trajtransfer.paper import architectures, networks
from trajtransfer.paper.chapters import assumption_p
from trajtransfer.paper.settings import setting
from trajtransfer.permutation import Permutation
from trajtransfer.tracing.trace import permutation_spec

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
MODEL = architectures.build("mlp", (1, 3, 3), 4, 12, 0)
SPEC = permutation_spec(MODEL, torch.zeros(2, 1, 3, 3))
WIDTHS, PAIRS, ORDERS = (8, 16), [(1, 2), (3, 4)], ("permuted", "identity", "random")
RUN = {"every": 10, "iterations": 20}


@pytest.fixture(scope="module")
def rows(home):
    return assumption_p.similarity(chosen(), PAIRS, "cpu", **RUN, same_batches=False)


def chosen() -> list[tt.Setting]:
    return [setting("mnist5k-mlp", width=width) for width in WIDTHS]


def drawn(seed: int, count: int = 3) -> list[tt.Params]:
    generator = torch.Generator().manual_seed(seed)
    return [tt.Params({n: torch.randn(p.shape, generator=generator) for n, p in MODEL.named_parameters()}) for _ in range(count)]


def cosines(rows, order: str) -> list[float]:
    return [row["cosine"] for row in rows if row["order"] == order]


def planted_start(original, pi_of):
    """Every seed starts from the network of seed 1, its hidden units moved by ``pi_of(seed)``."""

    def initialised(chosen, seed, device):
        model = original(chosen, 1, device)
        pi = pi_of(permutation_spec(model, torch.zeros(2, 1, 28, 28)), seed)
        model.load_state_dict(dict(pi(tt.Params(dict(model.state_dict())))))
        return model

    return initialised


@given(seed=st.integers(0, 2**31))
def test_a_planted_permutation_is_found(seed):
    source, planted = drawn(seed), Permutation.random(SPEC, torch.Generator().manual_seed(seed + 1))
    target = [planted(x) for x in source]
    orders = assumption_p._orders(source, target, SPEC, seed=seed)
    assert orders["permuted"] == planted and orders["identity"] == Permutation.identity(SPEC)
    for per in (lambda *a: assumption_p._per_iteration(*a, 10), assumption_p._per_layer):
        assert [r["cosine"] for r in per(target, [planted(x) for x in source])] == pytest.approx([1] * len(per(target, source)))
    random = [orders["random"](x) for x in source]
    assert orders["random"] == planted or max(r["cosine"] for r in assumption_p._per_iteration(target, random, 10)) < 0.99


def test_one_permutation_serves_all_updates():
    """The first update is moved by another permutation than the others: they outvote it."""
    source, (planted, other) = drawn(1), (Permutation.random(SPEC, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    target = [other(source[0]), *(planted(x) for x in source[1:])]
    assert assumption_p._orders(source, target, SPEC, seed=1)["permuted"] == planted != other


def test_a_layer_s_cosine_is_that_of_its_updates_laid_end_to_end():
    source, target = drawn(1), drawn(2)
    for row in assumption_p._per_layer(target, source):
        a, b = (torch.cat([x[f"{row['layer']}.weight"].flatten() for x in updates]).double() for updates in (source, target))
        assert row["cosine"] == pytest.approx(float(torch.cosine_similarity(a, b, dim=0)))
    assert [row["layer"] for row in assumption_p._per_layer(target, source)] == ["hidden", "head"]


def test_updates_that_are_all_zero_agree_with_nothing():
    zero = [0.0 * x for x in drawn(1)]
    assert [row["cosine"] for row in assumption_p._per_iteration(drawn(2), zero, 10)] == [0, 0, 0]


def test_rows_are_tidy_and_counted(rows):
    steps, layers = rows
    assert len(steps) == len(WIDTHS) * len(PAIRS) * len(ORDERS) * 2 and {row["iteration"] for row in steps} == {10, 20}
    assert len(layers) == len(WIDTHS) * len(PAIRS) * len(ORDERS) * 2 and {row["layer"] for row in layers} == {"hidden", "head"}
    assert all(-1 <= row["cosine"] <= 1 for row in (*steps, *layers))
    assert {(row["network"], row["start"], row["data"]) for row in steps} == {("mlp", "random", "mnist-5k")}
    assert {row["series"] for row in steps} == {f"mlp {width}, random → mnist-5k" for width in WIDTHS}


def test_the_permutation_agrees_best_over_all_updates():
    """The sum of inner products is what is maximised: no control may exceed it, nor any other permutation."""
    one = chosen()[0]
    source, target = (assumption_p._updates(one, seed, seed, "cpu", **RUN) for seed in (1, 2))
    spec = permutation_spec(networks.initialised(one, 1), torch.zeros(2, 1, 28, 28))
    orders = assumption_p._orders(source, target, spec, seed=1)
    more = {seed: Permutation.random(spec, torch.Generator().manual_seed(seed)) for seed in range(20)}
    agreement = {o: sum(y @ pi(x) for x, y in zip(source, target, strict=True)) for o, pi in (orders | more).items()}
    assert agreement["permuted"] > agreement["identity"] and max(agreement, key=agreement.get) == "permuted"


def test_updates_run_from_start_to_the_last_iteration():
    one = chosen()[0]
    long, short = (assumption_p._updates(one, 1, 1, "cpu", every=e, iterations=20) for e in (20, 5))
    assert len(long) == 1 and len(short) == 4
    assert (sum(short[1:], short[0]) - long[0]).norm() <= 1e-6 * long[0].norm()


def test_short_trainings_are_lengthened():
    brief = setting("mnist5k-mlp", width=8, epochs=1)
    assert len(assumption_p._updates(brief, 1, 1, "cpu", every=20, iterations=60)) == 3  # an epoch has 31 iterations


def test_same_seeds_same_numbers_other_batches_others(rows):
    own = assumption_p.similarity(chosen(), PAIRS, "cpu", **RUN, same_batches=False)
    shared = assumption_p.similarity(chosen(), PAIRS, "cpu", **RUN, same_batches=True)
    assert own == rows and shared != rows
    assert [row | {"cosine": 0} for row in shared[0]] == [row | {"cosine": 0} for row in rows[0]]


def test_on_the_same_batches_sgd_commutes_with_a_permutation(monkeypatch):
    """From a permuted copy of a start, every update is the permuted update, unless each run draws its own batches."""
    start = planted_start(networks.initialised, lambda spec, s: Permutation.random(spec, torch.Generator().manual_seed(s)))
    monkeypatch.setattr(assumption_p, "initialised", start)
    for same in (True, False):
        steps, layers = assumption_p.similarity(chosen(), PAIRS, "cpu", **RUN, same_batches=same)
        found = [*cosines(steps, "permuted"), *cosines(layers, "permuted")]
        assert (found == pytest.approx([1] * len(found), rel=1e-5)) == same
        assert max(cosines(steps, "random")) < 0.99


def test_from_one_start_on_the_same_batches_there_is_nothing_to_permute(monkeypatch):
    monkeypatch.setattr(assumption_p, "initialised", planted_start(networks.initialised, lambda s, _: Permutation.identity(s)))
    steps, _ = assumption_p.similarity(chosen(), [(1, 2)], "cpu", **RUN, same_batches=True)
    assert cosines(steps, "identity") == pytest.approx([1] * 4) and cosines(steps, "permuted") == cosines(steps, "identity")


def test_the_summary_averages_pairs_and_iterations(rows):
    steps, _ = rows
    lines = assumption_p.summary(steps)
    assert [line["series"] for line in lines] == [f"mlp {width}, random → mnist-5k" for width in WIDTHS]
    for width, line in zip(WIDTHS, lines, strict=True):
        for order in ORDERS:
            mine = [row for row in steps if (row["width"], row["order"]) == (width, order)]
            last = cosines([row for row in mine if row["iteration"] == 20], order)
            assert line[f"{order}, last"] == pytest.approx(sum(last) / 2)
            assert line[f"{order}, mean"] == pytest.approx(sum(cosines(mine, order)) / 4)

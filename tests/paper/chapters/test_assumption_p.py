"""Updates of two runs under one permutation: a planted one is found, shared batches are shared."""

from __future__ import annotations

from statistics import fmean

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from trajtransfer.paper import architectures, networks, tables
from trajtransfer.paper.chapters import assumption_p
from trajtransfer.paper.lab import Lab, labs
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation
from trajtransfer.tracing.trace import permutation_spec

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
MODEL = architectures.build("mlp", (1, 3, 3), 4, 12, 0)
SPEC = permutation_spec(MODEL, torch.zeros(2, 1, 3, 3))
WIDTHS = (8, 16)
PAIRS = [Seeds(1, 2), Seeds(3, 4)]
ORDERS = ("permuted", "identity", "random")
NAMES = [f"mlp {width}, random → mnist-5k" for width in WIDTHS]


def chosen():
    return labs(["mnist5k-mlp"], WIDTHS, device="cpu")


def found(same_batches=False):
    return assumption_p.cosines(chosen(), PAIRS, 10, 40, same_batches)


@pytest.fixture(scope="module")
def rows(home):
    return found()


def one():
    return Lab(setting("mnist5k-mlp", width=8), "cpu")


def drawn_by(seed):
    return torch.Generator().manual_seed(seed)


def drawn(seed):
    """Three updates."""
    generator = drawn_by(seed)
    return [
        Params({n: torch.randn(p.shape, generator=generator) for n, p in MODEL.named_parameters()})
        for _ in range(3)
    ]


def per_iteration(target, moved):
    return [row["cosine"] for row in assumption_p._per_iteration(target, moved, 10)]


def per_layer(target, moved):
    return [row["cosine"] for row in assumption_p._per_layer(target, moved)]


def cosines(found, order):
    """Those of the rows of a unit, per iteration and per layer."""
    rows = [*found["iterations"], *found["layers"]]
    return [row["cosine"] for row in rows if row["order"] == order]


def planted_start(monkeypatch, pi_of):
    """Every seed starts from the network of seed 1, its hidden units moved by ``pi_of(seed)``.

    What is computed from these must not be kept: ask for `update_cosines`, which keeps nothing.
    """
    original = networks.initialised

    def initialised(chosen, seed, device):
        model = original(chosen, 1, device)
        pi = pi_of(permutation_spec(model, torch.zeros(2, 1, 28, 28)), seed)
        model.load_state_dict(dict(pi(Params(dict(model.state_dict())))))
        return model

    monkeypatch.setattr(networks, "initialised", initialised)


@given(seed=st.integers(0, 2**31))
def test_a_planted_permutation_is_found(seed):
    source = drawn(seed)
    planted = Permutation.random(SPEC, drawn_by(seed + 1))
    target = [planted(x) for x in source]
    orders = assumption_p._orders(source, target, SPEC, seed=seed)
    assert orders["permuted"] == planted
    assert orders["identity"] == Permutation.identity(SPEC)
    moved = [planted(x) for x in source]
    assert per_iteration(target, moved) == pytest.approx([1] * 3)
    assert per_layer(target, moved) == pytest.approx([1] * 2)
    random = [orders["random"](x) for x in source]
    assert orders["random"] == planted or max(per_iteration(target, random)) < 0.99


def test_one_permutation_serves_all_updates():
    """The first update is moved by another permutation than the others: they outvote it."""
    source = drawn(1)
    planted = Permutation.random(SPEC, drawn_by(1))
    other = Permutation.random(SPEC, drawn_by(2))
    target = [other(source[0]), *(planted(x) for x in source[1:])]
    found = assumption_p._orders(source, target, SPEC, seed=1)
    assert found["permuted"] == planted != other


def test_a_layer_s_cosine_is_that_of_its_updates_laid_end_to_end():
    source = drawn(1)
    target = drawn(2)
    rows = assumption_p._per_layer(target, source)
    assert [row["layer"] for row in rows] == ["hidden", "head"]
    for row in rows:
        name = f"{row['layer']}.weight"
        a = torch.cat([x[name].flatten() for x in source]).double()
        b = torch.cat([x[name].flatten() for x in target]).double()
        assert row["cosine"] == pytest.approx(float(torch.cosine_similarity(a, b, dim=0)))


def test_updates_that_are_all_zero_agree_with_nothing():
    zero = [0.0 * x for x in drawn(1)]
    assert per_iteration(drawn(2), zero) == [0, 0, 0]


def test_rows_are_tidy_and_counted(rows):
    steps, layers = rows
    count = len(WIDTHS) * len(PAIRS) * len(ORDERS) * 2
    assert len(steps) == len(layers) == count
    assert set(steps["iteration"]) == {10, 30}
    assert set(layers["layer"]) == {"hidden", "head"}
    for frame in rows:
        assert frame["cosine"].between(-1, 1).all()
        assert set(frame["order"]) == set(ORDERS)
        assert set(frame["pair"]) == {"1-2", "3-4"}
        assert set(frame["network"]) == {"mlp"}
        assert set(frame["start"]) == {"random"}
        assert set(frame["data"]) == {"mnist-5k"}
        assert set(frame["series"]) == set(NAMES)


def test_the_permutation_agrees_best_over_all_updates():
    """The sum of inner products is what is maximised: no other permutation may exceed it."""
    lab = one()
    source = assumption_p._updates(lab, 1, 1, every=10, iterations=20)
    target = assumption_p._updates(lab, 2, 2, every=10, iterations=20)
    orders = assumption_p._orders(source, target, lab.spec, seed=1)
    more = {seed: Permutation.random(lab.spec, drawn_by(seed)) for seed in range(20)}
    agreement = {}
    for name, pi in (orders | more).items():
        agreement[name] = sum(y @ pi(x) for x, y in zip(source, target, strict=True))
    assert agreement["permuted"] > agreement["identity"]
    assert max(agreement, key=agreement.get) == "permuted"


def test_cosines_are_of_updates_that_the_permutation_was_not_fitted_to(monkeypatch):
    fitted = []
    original = assumption_p._orders

    def spy(source, target, *rest):
        fitted.append((source, target))
        return original(source, target, *rest)

    monkeypatch.setattr(assumption_p, "_orders", spy)
    found = assumption_p.update_cosines(one(), PAIRS[0], 10, 40, True)
    source, target = (assumption_p._updates(one(), seed, 0, 10, 40) for seed in PAIRS[0])
    ((ours, theirs),) = fitted
    assert [(x - y).norm() for x, y in zip(ours, source[1::2], strict=True)] == [0, 0]
    assert [(x - y).norm() for x, y in zip(theirs, target[1::2], strict=True)] == [0, 0]
    identity = [row for row in found["iterations"] if row["order"] == "identity"]
    expected = [(x @ y) / (x.norm() * y.norm()) for x, y in zip(source, target, strict=True)][::2]
    assert [row["cosine"] for row in identity] == pytest.approx(expected)
    assert [row["iteration"] for row in identity] == [10, 30]


def test_two_updates_are_needed():
    with pytest.raises(ValueError, match="19 iterations hold 1 updates of 10; two are needed"):
        assumption_p.update_cosines(one(), PAIRS[0], 10, 19, True)


def test_updates_run_from_start_to_the_last_iteration():
    (long,) = assumption_p._updates(one(), 1, 1, every=20, iterations=20)
    short = assumption_p._updates(one(), 1, 1, every=5, iterations=20)
    assert len(short) == 4
    assert (sum(short[1:], short[0]) - long).norm() <= 1e-6 * long.norm()


def test_short_trainings_are_lengthened():
    brief = Lab(setting("mnist5k-mlp", width=8, epochs=1), "cpu")  # an epoch has 31 iterations
    assert len(assumption_p._updates(brief, 1, 1, every=20, iterations=60)) == 3


def test_same_seeds_same_numbers_other_batches_others(rows):
    own = one().kept(assumption_p.update_cosines, PAIRS[0], 10, 40, False)
    again = assumption_p.update_cosines(one(), PAIRS[0], 10, 40, False)
    shared = assumption_p.update_cosines(one(), PAIRS[0], 10, 40, True)
    assert again == own != shared
    for part in ("iterations", "layers"):
        places = [row | {"cosine": 0} for row in own[part]]
        assert [row | {"cosine": 0} for row in shared[part]] == places


def test_shared_batches_are_asked_for_by_name(rows):
    for frame, shared in zip(rows, found(same_batches=True), strict=True):
        assert not frame["cosine"].equals(shared["cosine"])
        assert_frame_equal(frame.drop(columns="cosine"), shared.drop(columns="cosine"))


def test_what_was_made_is_read_back_in_every_column(rows, monkeypatch):
    monkeypatch.setattr(assumption_p, "snapshots", None)
    for frame, again in zip(rows, found(), strict=True):
        assert_frame_equal(again, frame)


@pytest.mark.parametrize("same_batches", [True, False])
def test_on_the_same_batches_sgd_commutes_with_a_permutation(same_batches, monkeypatch):
    """From a permuted copy of a start, every update is the permuted update.

    Unless each run draws its own batches.
    """
    planted_start(monkeypatch, lambda spec, seed: Permutation.random(spec, drawn_by(seed)))
    for lab in chosen():
        for pair in PAIRS:
            found = assumption_p.update_cosines(lab, pair, 10, 20, same_batches)
            permuted = cosines(found, "permuted")
            exact = pytest.approx([1] * len(permuted), rel=1e-5)
            assert (permuted == exact) == same_batches
            iterations = found["iterations"]
            assert max(row["cosine"] for row in iterations if row["order"] == "random") < 0.99


def test_from_one_start_on_the_same_batches_there_is_nothing_to_permute(monkeypatch):
    planted_start(monkeypatch, lambda spec, _: Permutation.identity(spec))
    for lab in chosen():
        found = assumption_p.update_cosines(lab, PAIRS[0], 10, 20, True)
        assert cosines(found, "identity") == pytest.approx([1] * 3)
        assert cosines(found, "permuted") == cosines(found, "identity")


def test_the_table_averages_pairs_and_iterations(rows):
    steps, _ = rows
    lines = tables.series(steps)
    assert [line["series"] for line in lines] == NAMES
    for width, line in zip(WIDTHS, lines, strict=True):
        for order in ORDERS:
            mine = steps[(steps["width"] == width) & (steps["order"] == order)]
            last = mine[mine["iteration"] == 30]
            assert len(mine) == 4 and len(last) == 2
            assert line[f"{order}, last"] == pytest.approx(fmean(last["cosine"]))
            assert line[f"{order}, mean"] == pytest.approx(fmean(mine["cosine"]))

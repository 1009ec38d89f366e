"""What may be given to `transfer`, and what goes wrong with a clear message."""

from __future__ import annotations

import itertools

import pytest
import torch
from safetensors.torch import save_file
from small_transfers import Tied, batches, network, small_transfer, state, trained
from torch import distributed, nn
from torch.nn import functional as F

import trajtransfer as tt

TYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def same(a: tt.Transfer, b: tt.Transfer) -> bool:
    equal = all(torch.equal(a.params[name], b.params[name]) for name in a.params)
    return equal and a.permutation == b.permutation and a.scores == b.scores


@pytest.mark.parametrize("method", ["gmt", "fgmt"])
@pytest.mark.parametrize("dtype", TYPES)
def test_every_floating_type_is_transferred_and_kept(dtype, method):
    result = small_transfer(dtype, method=method)
    assert {x.dtype for x in result.params.values()} == {dtype}
    assert result.permutation.indices["0"].dtype == torch.int64
    network(1).to(dtype).load_state_dict(result.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize(("model", "other"), list(itertools.permutations(TYPES, 2)))
@pytest.mark.parametrize("role", ["start", "end", "target", "batches", "selection"])
def test_types_may_differ_and_the_target_s_is_given_back(model, other, role, generator):
    """A model in one type and a state or batches in another: all is computed in one."""
    types = {name: other if name == role else model for name in ("start", "end", "target")}
    start, end, target = (state(seed, dtype) for seed, dtype in enumerate(types.values()))
    data = batches(generator, other if role == "batches" else model)
    selection = batches(generator, other if role == "selection" else model)
    own = network(4).to(model)
    found = tt.transfer(own, (start, end), target, data, steps=2, selection=selection)
    assert {x.dtype for x in found.params.values()} == {types["target"]}
    assert {x.dtype for x in found.buffers.values() if x.is_floating_point()} == {types["target"]}
    assert {p.dtype for p in own.parameters()} == {model}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_computed_in_single_precision(dtype, generator):
    """As if all had been converted first, and the result rounded last."""
    data = batches(generator, dtype)
    wide = [(x.float(), y) for x, y in data]
    run = [*trained(network(1), wide), state(1)]
    halves = [{name: as_type(x, dtype) for name, x in one.items()} for one in run]
    singles = [{name: as_type(x, torch.float32) for name, x in one.items()} for one in halves]
    half = tt.transfer(network(4).to(dtype), (halves[0], halves[1]), halves[2], data, steps=2)
    single = tt.transfer(network(4), (singles[0], singles[1]), singles[2], wide, steps=2)
    assert half.permutation == single.permutation and half.scores == single.scores
    assert half.t == single.t > 0
    for name, x in single.params.items():
        assert torch.equal(half.params[name], x.to(dtype))


@pytest.mark.parametrize("role", ["model", "start", "end", "target"])
def test_all_is_computed_in_double_precision_where_something_is_in_it(role, generator):
    data = batches(generator)
    run = [*trained(network(1), data), state(1)]
    names = ("start", "end", "target")
    types = {name: torch.float64 if name == role else torch.float32 for name in names}
    start, end, target = (
        {name: as_type(x, dtype) for name, x in one.items()}
        for one, dtype in zip(run, types.values(), strict=True)
    )
    model = network(4).double() if role == "model" else network(4)
    found = tt.transfer(model, (start, end), target, data, steps=2)
    wide = [{name: as_type(x, torch.float64) for name, x in one.items()} for one in run]
    double = tt.transfer(network(4).double(), (wide[0], wide[1]), wide[2], data, steps=2)
    assert found.scores == double.scores and found.permutation == double.permutation


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_is_transferred_in_inference_mode(dtype):
    plain = small_transfer(dtype)
    with torch.inference_mode():
        assert same(small_transfer(dtype), plain)


class Rotated(nn.Module):
    """Has a complex buffer and one that half precision could not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.head = nn.Linear(6, 2)
        self.register_buffer("turn", torch.polar(torch.ones(3), torch.rand(3)))
        self.register_buffer("large", torch.tensor(1e5))

    def forward(self, x):
        turned = torch.view_as_complex(x.reshape(-1, 3, 2)) * self.turn
        x = torch.view_as_real(turned).reshape(-1, 6) * (self.large / 1e5)
        return self.head(torch.relu(self.first(x)))


def test_buffers_are_those_of_the_target_whatever_type_the_model_has(generator):
    start, end, target = (network(seed, Rotated).state_dict() for seed in (1, 2, 3))
    model = network(4, Rotated)
    model.first.half()
    model.head.half()
    model.large = torch.tensor(0.0, dtype=torch.float16)
    found = tt.transfer(model, (start, end), target, batches(generator), steps=2)
    assert torch.equal(found.buffers["turn"], target["turn"])
    assert found.buffers["large"] == 1e5


def test_a_result_that_is_too_large_for_its_type_is_named(generator):
    data = [(500 * x, y) for x, y in batches(generator, torch.float16)]
    with pytest.raises(ValueError, match=r"the result overflows torch.float16 at '1.running_var'"):
        small_transfer(torch.float16, batches=data)


def as_type(x, dtype):
    return x.to(dtype) if x.is_floating_point() else x


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_grad_mode_of_the_caller_changes_nothing_and_stays(mode):
    plain = small_transfer()
    with mode():
        before = (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
        found = small_transfer()
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    assert same(plain, found)


def test_tensors_made_in_inference_mode_are_transferred_outside(generator):
    with torch.inference_mode():
        data = batches(generator)
        start, end, target = (state(seed) for seed in (1, 2, 3))
        model = network(4)
    assert same(tt.transfer(model, (start, end), target, data, steps=2), small_transfer())


def test_grad_mode_is_left_alone_by_an_error(generator):
    wrong = [(x, y + 5) for x, y in batches(generator)]
    message = r"label [56] is none of the 2 classes"
    with torch.no_grad(), pytest.raises(ValueError, match=message):
        small_transfer(batches=wrong)
    assert torch.is_grad_enabled()


def loader(data) -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(data, batch_size=None)


@pytest.mark.parametrize("kind", [list, tuple, loader])
def test_batches_and_selection_may_be_anything_that_starts_again(kind, generator):
    data = batches(generator)
    found = small_transfer(batches=kind(data), selection=kind(data))
    assert same(found, small_transfer(batches=data, selection=data))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "FGM"}, "unknown method 'FGM'; known: naive, gmt, fgmt"),
        ({"schedule": "linear"}, "unknown schedule"),
        ({"steps": 0}, "at least one step"),
    ],
)
def test_unknown_choices_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_transfer(**options)


def test_a_state_of_another_architecture_is_refused(generator):
    narrow = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))
    source = (state(1), narrow.state_dict())
    message = r"the end of the source does not fit the model: it lacks \['1\.weight'"
    with pytest.raises(ValueError, match=message):
        tt.transfer(network(1), source, state(2), batches(generator))


def headed(outputs: int) -> nn.Module:
    model = network(3)
    model[3] = nn.Linear(64, outputs)
    return model


def test_a_head_of_other_outputs_stays_and_the_body_is_moved(generator):
    """As if it had the head that the source started from."""
    data = batches(generator)
    target = headed(5).state_dict()
    heads = {name: target[name] for name in ("3.weight", "3.bias")}
    found = tt.transfer(network(4), (state(1), state(2)), target, data, steps=2)
    start = state(1)
    whole = {**target, **{name: start[name] for name in heads}}
    same_body = tt.transfer(network(4), (state(1), state(2)), whole, data, steps=2)
    assert (found.head, same_body.head) == (tuple(heads), ())
    assert found.permutation == same_body.permutation and found.scores == same_body.scores
    moved = found.state_dict()
    for name, x in same_body.state_dict().items():
        assert torch.equal(moved[name], heads.get(name, x))
    headed(5).load_state_dict(moved)


def test_what_is_no_head_has_to_have_the_shapes_of_the_model(generator):
    data = sequences(generator)
    source = (Tokens(1), Tokens(2))
    other = Tokens(3)
    other.rows = nn.Embedding(11, 8)
    with pytest.raises(
        ValueError, match=r"the target does not fit .* are \['rows\.weight'\] \(1\)"
    ):
        tt.transfer(Tokens(4), source, other, data)
    half = {**headed(5).state_dict(), "3.bias": torch.zeros(2)}
    with pytest.raises(ValueError, match=r"the target does not fit .* are \['3\.weight'\] \(1\)"):
        tt.transfer(network(4), (state(1), state(2)), half, batches(generator))
    broken = {**headed(5).state_dict(), "3.bias": torch.full((5,), torch.nan)}
    with pytest.raises(ValueError, match=r"the target holds NaN or infinite entries at '3\.bias'"):
        tt.transfer(network(4), (state(1), state(2)), broken, batches(generator))


class Tying(nn.Module):
    """Says which token it has read, by the table that it reads with."""

    def __init__(self, tokens: int):
        super().__init__()
        self.head = nn.Linear(8, tokens, bias=False)
        self.inner = nn.Linear(8, 8)
        self.rows = nn.Embedding(tokens, 8)
        self.rows.weight = self.head.weight

    def forward(self, ids):
        return self.head(torch.relu(self.inner(self.rows(ids))))


def test_a_head_that_is_a_table_of_inputs_too_is_no_head(generator):
    ids = torch.randint(0, 9, (16,), generator=generator)
    with pytest.raises(ValueError, match=r"the target does not fit .* are \['head\.weight'\]"):
        tt.transfer(Tying(9), (Tying(9), Tying(9)), Tying(11), [(ids, ids)])


def test_a_layer_whose_outputs_are_units_is_no_head(generator):
    wide = {**state(3), "0.weight": torch.zeros(65, 6), "0.bias": torch.zeros(65)}
    words = r"another number of the units '0', which '0\.weight' gives"
    with pytest.raises(ValueError, match=words):
        tt.transfer(network(4), (state(1), state(2)), wide, batches(generator))


class Loader:
    """Something that is no iterator, and yet can be gone through once only."""

    def __init__(self, iterator):
        self.iterator = iterator

    def __iter__(self):
        return self.iterator


def test_batches_that_cannot_be_started_again_are_refused(generator):
    few = Loader(iter(batches(generator)[:2]))
    with pytest.raises(ValueError, match="batches is empty or cannot be started again"):
        small_transfer(batches=few, steps=4)
    with pytest.raises(TypeError, match="batches is a list_iterator; pass a list"):
        small_transfer(batches=iter(batches(generator)))


@pytest.mark.parametrize(
    ("wrong", "step", "words"),
    [
        (1, 1, "the gradient of the target"),
        (2, 1, "the gradient of the source"),
        (3, 2, "the gradient of the target"),
    ],
)
def test_a_gradient_that_overflows_names_its_step_and_side(wrong, step, words):
    calls = iter(range(1, 1000))

    def loss(outputs, labels):
        overflows = torch.is_grad_enabled() and next(calls) == wrong
        scale = float("inf") if overflows else 1.0
        return scale * nn.functional.cross_entropy(outputs, labels)

    message = rf"step {step}: {words} is not finite at '0\.weight': the numbers overflow"
    with pytest.raises(ValueError, match=message):
        small_transfer(loss=loss)


def test_an_error_of_ones_own_batches_comes_through(generator):
    class Broken(ValueError):
        pass

    def data():
        yield batches(generator)[0]
        raise Broken("my file is broken")

    with pytest.raises(Broken, match="my file is broken"):
        small_transfer(batches=Loader(data()))


def test_tied_names_of_other_values_are_refused(generator):
    start, end, target = (network(seed, Tied).state_dict() for seed in (1, 2, 3))
    untied = target | {"again.weight": target["first.weight"] + 1}
    message = r"the target holds different tensors 'first\.weight' and 'again\.weight'"
    with pytest.raises(ValueError, match=message):
        tt.transfer(network(4, Tied), (start, end), untied, batches(generator), steps=2)


def test_buffers_of_another_shape_are_refused(generator):
    start, end, target = (network(seed, Tied).state_dict() for seed in (1, 2, 3))
    wrong = target | {"table": torch.zeros(2)}
    message = "the target does not fit the model at the buffer 'table'"
    with pytest.raises(ValueError, match=message):
        tt.transfer(network(4, Tied), (start, end), wrong, batches(generator), steps=2)


def test_selection_of_samples_of_two_shapes_is_refused():
    pool = nn.AdaptiveAvgPool1d(6)
    model = nn.Sequential(pool, nn.Flatten(), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    own = model.state_dict()
    end = {name: x + 0.1 for name, x in own.items()}
    labels = torch.zeros(4, dtype=torch.long)
    data = [(torch.randn(4, 1, n), labels) for n in (6, 12)]
    with pytest.raises(ValueError, match=r"inputs of shapes \(4, 1, 6\), \(4, 1, 12\)"):
        tt.transfer(model, (own, end), own, data, selection=data)


def test_a_buffer_that_is_not_finite_is_named(generator):
    target = state(3)
    target["1.running_mean"][3] = float("nan")
    message = r"the target holds NaN or infinite entries in the buffer '1\.running_mean'"
    with pytest.raises(ValueError, match=message):
        tt.transfer(network(3), (state(1), state(2)), target, batches(generator), steps=2)


class Tokens(nn.Module):
    """A classifier of sequences, as Hugging Face calls one: arguments by name, outputs by name."""

    def __init__(self, seed: int):
        super().__init__()
        torch.manual_seed(seed)
        self.rows = nn.Embedding(9, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 6, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, input_ids, attention_mask=None, labels=None):
        h = self.rows(input_ids)
        if attention_mask is not None:
            h = h * attention_mask[..., None]
        logits = self.head(self.layer(h).mean(1))
        return {"logits": logits, "hidden": h.sum()}


class Two(nn.Module):
    """Takes two inputs by position."""

    def __init__(self, seed: int):
        super().__init__()
        torch.manual_seed(seed)
        self.a = nn.Linear(4, 6)
        self.b = nn.Linear(3, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x, y):
        return self.head(torch.relu(self.a(x) + self.b(y)))


def sequences(generator, count: int = 3) -> list[dict]:
    made = []
    for _ in range(count):
        ids = torch.randint(0, 9, (16, 5), generator=generator)
        mask = torch.ones(16, 5)
        made.append({"input_ids": ids, "attention_mask": mask, "labels": ids[:, 0] % 2})
    return made


def pairs_of_inputs(generator, count: int = 3) -> list[tuple]:
    made = []
    for _ in range(count):
        x = torch.randn(16, 4, generator=generator)
        y = torch.randn(16, 3, generator=generator)
        made.append((x, y, (x[:, 0] > y[:, 0]).long()))
    return made


def trained_by(kind: type[nn.Module], data: list, loss=F.cross_entropy, **how) -> tt.Transfer:
    """A transfer from the first seed to the second, along a step of plain gradient descent."""
    model = kind(1)
    start = tt.parameters(model)
    end = start + -0.5 * tt.gradient(model, start, data[0], loss=loss)
    states = (dict(start), dict(end))
    target = kind(2).state_dict()
    return tt.transfer(kind(3), states, target, data, loss=loss, steps=2, **how)


@pytest.mark.parametrize(
    ("kind", "made"), [(Tokens, sequences), (Two, pairs_of_inputs)], ids=["by name", "by position"]
)
def test_networks_of_several_inputs_are_transferred(kind, made, generator):
    data = made(generator)
    result = trained_by(kind, data, selection=data[1:])
    assert result.spec.sizes and 0 <= result.scores[0].accuracy <= 1
    kind(4).load_state_dict(result.state_dict())


def test_it_does_not_matter_how_a_batch_is_given(generator):
    """Inputs by name beside their labels or with them, by position, as arrays, or in one tuple."""
    triples = pairs_of_inputs(generator)
    plain = trained_by(Two, triples)
    for again in (
        [((x, y), labels) for x, y, labels in triples],
        [({"x": x, "y": y}, labels) for x, y, labels in triples],
        [{"x": x, "y": y, "labels": labels} for x, y, labels in triples],
        [tuple(one.numpy() for one in triple) for triple in triples],
    ):
        assert same(trained_by(Two, again), plain)


class WithLoss(Tokens):
    """As models of Hugging Face do, it computes a loss where it is given labels."""

    def forward(self, input_ids, attention_mask=None, labels=None):
        found = super().forward(input_ids, attention_mask)
        loss = None if labels is None else F.cross_entropy(found["logits"], labels)
        return {"loss": loss, **found}


class Shifted(WithLoss):
    """Cannot do without labels, like a network that writes what it reads next."""

    def forward(self, input_ids, labels):
        return super().forward(input_ids + labels[:, None] % 1, labels=labels)


@pytest.mark.parametrize("kind", [WithLoss, Shifted])
def test_the_own_loss_of_a_model_is_as_good_as_that_of_its_logits(kind, generator):
    data = [{"input_ids": x["input_ids"], "labels": x["labels"]} for x in sequences(generator)]
    plain = trained_by(Tokens, data, selection=data[1:])
    own = trained_by(kind, data, selection=data[1:], loss=tt.own_loss)
    assert own.permutation == plain.permutation and own.spec.sizes == plain.spec.sizes
    assert own.t == plain.t
    for a, b in zip(own.scores, plain.scores, strict=True):
        assert a.loss == pytest.approx(b.loss) and a.accuracy == b.accuracy


def test_a_model_without_a_loss_of_its_own_is_refused(generator):
    data = sequences(generator)
    with pytest.raises(ValueError, match="the model returns no loss of its own"):
        trained_by(Tokens, data, loss=tt.own_loss)
    with pytest.raises(TypeError, match="own_loss takes batches whose inputs have names"):
        trained_by(Two, pairs_of_inputs(generator), loss=tt.own_loss)


def prefixed(prefix: str, seed: int) -> dict:
    return {prefix + name: x for name, x in state(seed).items()}


@pytest.mark.parametrize(
    "given",
    [
        network,
        lambda seed: nn.DataParallel(network(seed)),
        lambda seed: {"model_state_dict": state(seed), "epoch": 3},
        lambda seed: prefixed("module.", seed),
        lambda seed: prefixed("_orig_mod.module.", seed),
        lambda seed: {"state_dict": prefixed("model.", seed)},
    ],
    ids=["module", "DataParallel", "checkpoint", "prefix", "two prefixes", "Lightning"],
)
def test_states_are_taken_as_people_keep_them(given, generator):
    source = (given(1), given(2))
    model = nn.DataParallel(network(4))
    found = tt.transfer(model, source, given(3), batches(torch.Generator().manual_seed(0)), steps=2)
    assert same(found, small_transfer())
    assert found.state_dict().keys() == network(4).state_dict().keys()


@pytest.mark.slow
def test_a_distributed_model_and_its_states_are_taken(tmp_path):
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        source = [nn.parallel.DistributedDataParallel(network(seed)) for seed in (1, 2)]
        target = nn.parallel.DistributedDataParallel(network(3)).state_dict()
        model = nn.parallel.DistributedDataParallel(network(4))
        data = batches(torch.Generator().manual_seed(0))
        found = tt.transfer(model, (source[0], source[1]), target, data, steps=2)
    finally:
        distributed.destroy_process_group()
    assert all(name.startswith("module.") for name in target)
    assert same(found, small_transfer())


def test_states_are_read_from_files(tmp_path):
    """Of safetensors, and of ``torch.save`` as Lightning calls it."""
    paths = {seed: tmp_path / f"{seed}.safetensors" for seed in (1, 2)}
    for seed, path in paths.items():
        save_file(state(seed), path)
    target = tmp_path / "target.ckpt"
    torch.save({"state_dict": prefixed("model.", 3)}, target)
    data = batches(torch.Generator().manual_seed(0))
    found = tt.transfer(network(4), (paths[1], str(paths[2])), target, data, steps=2)
    assert same(found, small_transfer())


@pytest.mark.parametrize("name", ["state.safetensors", "state.pt"])
@pytest.mark.parametrize("content", [None, b"", b"no state"], ids=["absent", "empty", "damaged"])
def test_files_that_hold_no_state_are_named(name, content, tmp_path, generator):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"the target .* read from {path}"):
        tt.transfer(network(3), (state(1), state(2)), path, batches(generator), steps=2)


def test_one_name_of_a_tied_tensor_is_enough(generator):
    states = [network(seed, Tied).state_dict() for seed in (1, 2, 3)]
    data = batches(generator)
    whole = tt.transfer(network(4, Tied), (states[0], states[1]), states[2], data, steps=2)
    less = [{n: x for n, x in one.items() if not n.startswith("first.")} for one in states]
    found = tt.transfer(network(4, Tied), (less[0], less[1]), less[2], data, steps=2)
    assert same(found, whole)

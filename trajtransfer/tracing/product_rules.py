"""Tracing rules of products of matrices and of stacks of them, attention among them.

Heads of attention are such a stack. Units inside a head stay free where a product sums over them,
and where it leaves them beside their heads.
"""

from __future__ import annotations

from collections.abc import Sequence

from trajtransfer.tracing.axis_labels import Label, unify
from trajtransfer.tracing.operation_rules import meeting
from trajtransfer.tracing.registry import (
    Call,
    Traced,
    Unsupported,
    freeze_all,
    rule,
    without_parts,
)
from trajtransfer.tracing.views import Axis, Folded, Part, settled


@rule("matmul", "bmm", "mm", "mv", "dot", "vdot", shaping=True)
def _product(call: Call) -> tuple[Axis, ...]:
    a, b = call.tensors
    return _multiplied(a, b, call.shape)


@rule("addmm", "baddbmm", "addmv")
def _sum_and_product(call: Call) -> tuple[Label, ...]:
    added, a, b = call.tensors
    product = Traced(tuple(call.shape), _multiplied(a, b, call.shape))
    return meeting([added, product], call.shape)


def _multiplied(a: Traced, b: Traced, shape: Sequence[int]) -> tuple[Axis, ...]:
    """The axes of a product of matrices, of stacks of them, or of vectors."""
    _contract(a, -1, b, -2 if len(b.axes) > 1 else -1)
    rows = tuple(map(settled, a.axes[-2:-1]))
    columns = b.axes[-1:] if len(b.axes) > 1 else ()
    outer = shape[: len(shape) - len(rows) - len(columns)]
    # Of b, units inside heads are summed over, or left as columns.
    stacks = [_stack(a, _heads(a, -1)), _stack(b, _heads(b, -2) or _heads(b, -1))]
    return _beside(meeting(stacks, outer), b, (*rows, *columns))


@rule("scaled_dot_product_attention", shaping=True)
def _attention(call: Call) -> tuple[Axis, ...]:
    """``softmax(q k') v``: units inside a head are shared by q and k, and by v and the result."""
    q, k, v = (call[name] for name in ("query", "key", "value"))
    shared = call["enable_gqa"] and k.shape[-3] != q.shape[-3]
    if shared:
        q, k, v = (without_parts(x) for x in (q, k, v))
    _contract(q, -1, k, -1)
    unify(settled(k.axes[-2]), settled(v.axes[-2]))
    mask = call["attn_mask"]
    if mask is not None or call["is_causal"]:
        freeze_all([q.axes[-2], k.axes[-2]])
    stacks = [_stack(x, _heads(x, -1)) for x in (q, k, v)]
    if shared:
        stacks = [_shared_heads(x, q.shape[-3]) for x in stacks]
    if mask is not None:
        stacks.append(Traced(mask.shape[:-2], tuple(map(settled, mask.axes[:-2]))))
        freeze_all(mask.axes[-2:])
    found = meeting(stacks, call.shape[:-2])
    return _beside(found, v, (settled(q.axes[-2]), v.axes[-1]))


def _heads(x: Traced, inner: int) -> Folded | None:
    """What was folded into the third axis from the end and the `inner` one, heads and their units.

    None where these are no such axes, or had to be told already. A single head is no stack of
    them, and may be broadcast to many.
    """
    if len(x.axes) < 3:
        return None
    outer = x.axes[-3]
    if not isinstance(outer, Part) or outer.whole.parts is not None:
        return None
    whole = outer.whole
    both = (Part(whole, 0), Part(whole, 1))
    stacked = len(whole.sizes) == 2 and whole.sizes[0] > 1
    return whole if stacked and (outer, x.axes[inner]) == both else None


def _contract(a: Traced, i: int, b: Traced, j: int) -> None:
    """Let the axes that a product sums over move together, those of heads together with these."""
    one = _heads(a, i)
    other = _heads(b, j)
    if one is not None and other is not None and one.sizes == other.sizes:
        unify(one.label, other.label)
    else:
        unify(settled(a.axes[i]), settled(b.axes[j]))


def _stack(x: Traced, heads: Folded | None) -> Traced:
    """All axes but the two that are multiplied."""
    axes = x.axes[:-2]
    if heads is None:
        return Traced(x.shape[:-2], tuple(map(settled, axes)))
    return Traced(x.shape[:-2], (*map(settled, axes[:-1]), heads.larger()))


def _beside(stack: tuple[Label, ...], b: Traced, last: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """The axes of a result; columns that lie inside the heads of `b` go on doing so."""
    heads = _heads(b, -1)
    if heads is None:
        return (*stack, *map(settled, last))
    return (*stack[:-1], Part(heads, 0), *last)


def _shared_heads(stack: Traced, heads: int) -> Traced:
    """Each head of keys and values stands for as many neighbouring heads of queries."""
    count = stack.shape[-1]
    times = heads // count
    block = tuple(p._replace(size=p.size * times, block=p.block * times) for p in stack.axes[-1])
    return Traced((*stack.shape[:-1], heads), (*stack.axes[:-1], block))


@rule("einsum")
def _einsum(call: Call) -> tuple[Label, ...]:
    """A letter names one axis wherever it stands."""
    equation = call["equation"].replace(" ", "")
    taken, arrow, given = equation.partition("->")
    operands = taken.split(",")
    if not arrow or "." in equation:
        raise Unsupported("an einsum with an ellipsis, or without an arrow")
    axes: dict[str, Label] = {}
    for letters, x in zip(operands, call["tensors"], strict=True):
        if len(set(letters)) < len(letters):
            raise Unsupported("a diagonal")
        for letter, label in zip(letters, x.axes, strict=True):
            axes[letter] = unify(axes[letter], label) if letter in axes else label
    return tuple(axes[letter] for letter in given)

"""Tracing rules of attention, and of products of tensors of any number of axes."""

from __future__ import annotations

from trajtransfer.tracing.axis_labels import Label, unify
from trajtransfer.tracing.operation_rules import meeting
from trajtransfer.tracing.registry import Call, Traced, Unsupported, freeze_all, rule


@rule("scaled_dot_product_attention")
def _attention(call: Call) -> tuple[Label, ...]:
    """``softmax(q k') v``: units inside a head are shared by q and k, and by v and the result."""
    q, k, v = (call[name] for name in ("query", "key", "value"))
    unify(q.axes[-1], k.axes[-1])
    unify(k.axes[-2], v.axes[-2])
    mask = call["attn_mask"]
    if mask is not None or call["is_causal"]:
        freeze_all([q.axes[-2], k.axes[-2]])
    stacks = [Traced(x.shape[:-2], x.axes[:-2]) for x in (q, k, v)]
    if call["enable_gqa"] and k.shape[-3] != q.shape[-3]:
        stacks = [_shared_heads(x, q.shape[-3]) for x in stacks]
    if mask is not None:
        stacks.append(Traced(mask.shape[:-2], mask.axes[:-2]))
        freeze_all(mask.axes[-2:])
    return (*meeting(stacks, call.shape[:-2]), q.axes[-2], v.axes[-1])


def _shared_heads(stack: Traced, heads: int) -> Traced:
    """Each head of keys and values stands for as many neighbouring heads of queries."""
    count = stack.shape[-1]
    times = heads // count
    if times == 1:
        return stack
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

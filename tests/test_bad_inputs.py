"""Every bad input is refused in words that name it; none reaches PyTorch, NumPy or a result."""

from __future__ import annotations

import pytest
import torch

from tests.bad_inputs import CASES, BadInput


def test_the_list_names_each_input_once():
    assert len({case.name for case in CASES}) == len(CASES) >= 90


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_input_is_refused_in_words(case: BadInput, tmp_path):
    grad_mode = torch.is_grad_enabled()
    with pytest.raises((ValueError, TypeError, OSError)) as error:
        case.call(tmp_path)
    assert case.words in str(error.value)
    assert torch.is_grad_enabled() == grad_mode

"""What the library says of itself: every public function lists its parameters, and no others."""

from __future__ import annotations

import inspect
import re

import pytest

import trajtransfer as tt

FUNCTIONS = [name for name in tt.__all__ if inspect.isfunction(getattr(tt, name))]
ENTRY = re.compile(r"^ {8}(\w+): [A-Z`]", re.MULTILINE)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_of_a_public_function_is_listed(name):
    """One of a single parameter may say what it is in its first line."""
    function = getattr(tt, name)
    parameters = list(inspect.signature(function).parameters)
    text = "    " + inspect.getdoc(function).replace("\n", "\n    ")
    listed = ENTRY.findall(text.partition("    Args:\n")[2])
    assert listed == parameters or (not listed and len(parameters) == 1)

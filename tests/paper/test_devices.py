"""Devices: asked for by name, deterministic, and never replaced silently."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
import torch

from trajtransfer.paper import devices
from trajtransfer.paper.devices import described, kind_of_device, require_device, select_device

ASKING = [select_device, require_device]
asking = pytest.mark.parametrize("ask", ASKING, ids=lambda ask: ask.__name__)


@pytest.fixture
def processor():
    """Forgets which processor was found."""
    devices._processor.cache_clear()
    yield
    devices._processor.cache_clear()


def test_the_device_that_is_selected_is_deterministic():
    torch.set_deterministic_debug_mode("default")
    assert str(select_device("cpu")) == "cpu"
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@asking
@pytest.mark.parametrize("name", ["cpu", "cpu:0"])
def test_the_cpu_is_there(ask, name):
    assert ask(name).type == "cpu"


def test_auto_is_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert str(select_device()) == str(select_device("auto")) == "cpu"
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices, "require_device", asked.append)
    select_device("auto")
    assert asked == ["cuda"]


@asking
@pytest.mark.parametrize("name", ["abacus", "cpu:99", "", "cpu cpu", "meta", "hpu", "xla"])
def test_devices_that_are_not_there_are_refused(ask, name):
    with pytest.raises(ValueError, match=f"device {name!r} is not available: .*Use --device cpu$"):
        ask(name)


@asking
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(ask):
    with pytest.raises(ValueError, match=r"device 'cuda' is not available.*--device cpu"):
        ask("cuda")


def test_a_refusal_says_why_in_one_line():
    with pytest.raises(ValueError, match="there is one CPU, whatever its cores") as found:
        require_device("cpu:99")
    assert "\n" not in str(found.value)
    with pytest.raises(ValueError, match="it holds no numbers"):
        require_device("meta")


def test_what_decides_the_last_digits_is_the_kind_and_on_a_cpu_its_threads(monkeypatch):
    assert kind_of_device("cuda:1") == kind_of_device("cuda") == "cuda"
    assert kind_of_device("cpu") == kind_of_device("cpu:0") == "cpu, threads: 1"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert kind_of_device("cpu") == "cpu, threads: 8"


def test_a_cpu_is_described_with_its_model_and_cores(processor):
    found = described("cpu")
    assert found.startswith("cpu, ")
    assert f"(1 of {os.cpu_count()} cores)" in found
    assert torch.backends.cpu.get_cpu_capability() in found


def test_a_gpu_is_described_by_its_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100")
    assert described("cuda:0") == "NVIDIA H100"


def test_a_processor_is_named_with_the_numbers_of_its_model(processor, monkeypatch):
    first = "cpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Xeon\nstepping\t: 7\n"
    second = "\nmodel name\t: another\n"
    monkeypatch.setattr(Path, "read_text", lambda self: first + second)
    assert described("cpu").startswith("cpu, Xeon 6.85.7 with ")


def test_a_processor_without_a_file_has_the_name_that_python_knows(processor, monkeypatch):
    def missing(self):
        raise FileNotFoundError(str(self))

    monkeypatch.setattr(Path, "read_text", missing)
    expected = platform.processor() or platform.machine()
    assert described("cpu").startswith(f"cpu, {expected} with ")

"""The device that everything runs on: asked for by name, and never replaced silently."""

from __future__ import annotations

import os
import platform
import warnings
from functools import lru_cache
from pathlib import Path

import torch


def select_device(name: str = "auto") -> torch.device:
    """``"auto"`` (CUDA when there), or a device by name; makes PyTorch deterministic on it.

    Raises ``ValueError`` when the device is not there: nothing falls back silently.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    # `use_deterministic_algorithms` does the same, and loads the compiler: two seconds.
    torch.set_deterministic_debug_mode("warn")
    # CUDA has no deterministic backward pass of max-pooling in general. Conv8's does not overlap,
    # so its order is fixed; the stem of ResNet-18 for photographs overlaps, and those runs repeat
    # up to rounding.
    warnings.filterwarnings("ignore", message="max_pool2d_with_indices_backward_cuda")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return require_device(name)


def require_device(name: str) -> torch.device:
    """A device by name (`"auto"` is the CPU here). Raises ``ValueError`` when it is not there."""
    try:
        device = torch.zeros((), device="cpu" if name == "auto" else name).device
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"device {name!r} is not available: {reason}. Use --device cpu") from error
    if device.type == "meta":
        raise ValueError("device 'meta' is not available: it holds no numbers. Use --device cpu")
    if device.type == "cpu" and name not in ("auto", "cpu", "cpu:0"):
        raise ValueError(
            f"device {name!r} is not available: there is one CPU, whatever its cores. "
            "Use --device cpu"
        )
    return device


def kind_of_device(name: str) -> str:
    """What of a device decides the last digits: its kind, and how many threads of a CPU."""
    if torch.device(name).type != "cpu":
        return torch.device(name).type
    return f"cpu, threads: {torch.get_num_threads()}"


def described(name: str) -> str:
    """The GPU, or the processor, what it computes with, and on how many of its cores."""
    if "cuda" in name:
        return torch.cuda.get_device_name()
    cores = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    return f"{name}, {_processor()} with {torch.backends.cpu.get_cpu_capability()} ({cores})"


@lru_cache
def _processor() -> str:
    """The model of the processor, which decides the last digits of sums.

    Hosts of virtual machines name it by numbers only.
    """
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    found = {}
    for line in first.splitlines():
        name, _, value = line.partition(":")
        found[name.strip()] = value.strip()
    numbers = [found[name] for name in ("cpu family", "model", "stepping") if name in found]
    return " ".join([found.get("model name", platform.machine()), ".".join(numbers)]).strip()

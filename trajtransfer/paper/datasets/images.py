"""What a source hands over: images with their labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch import Tensor


class Images(NamedTuple):
    """uint8 (n, c, h, w) and int64 (n,)."""

    images: Tensor
    labels: Tensor

    def take(self, indices: Tensor) -> Images:
        """The images with these indices."""
        return Images(self.images[indices], self.labels[indices])


Source = Callable[[Path, int | None], tuple[Images, Images]]

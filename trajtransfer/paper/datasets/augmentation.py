"""Random changes of training images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

MARGIN = 4  # black pixels on each side, before the crop


def augment(images: Tensor, kind: str, generator: torch.Generator | None) -> Tensor:
    """``"none"``, or ``"crop+flip"``: a random crop after padding, and a random mirror image.

    Images are padded by 4 black pixels on each side.
    """
    if kind == "none":
        return images
    if kind != "crop+flip":
        raise ValueError(f"unknown augmentation {kind!r}; known: none, crop+flip")
    n, _, h, w = images.shape
    shifts = torch.randint(0, 2 * MARGIN + 1, (2, n, 1), generator=generator)
    mirrored = torch.rand(n, 1, generator=generator) < 0.5
    rows = shifts[0] + torch.arange(h)
    columns = shifts[1] + torch.arange(w)
    columns = torch.where(mirrored, columns.flip(1), columns)
    return _pixels(images, rows.to(images.device), columns.to(images.device))


def _pixels(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """These rows (n, h) and columns (n, w) of each padded image."""
    padded = F.pad(images, (MARGIN, MARGIN, MARGIN, MARGIN))
    which = torch.arange(len(images), device=images.device)[:, None, None]
    found = padded[which, :, rows[:, :, None], columns[:, None, :]]  # the channels come last
    return found.permute(0, 3, 1, 2).contiguous()

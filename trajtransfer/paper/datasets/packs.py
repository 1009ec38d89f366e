"""Images in one file: made once, by several threads, and mapped from disk afterwards.

A pack is a line that says what its images are and what they were made of, and then the images, each
followed by its CRC-32. By these sums a half-made pack knows what it has, and a whole one whether it
is damaged.
"""

from __future__ import annotations

import json
import os
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trajtransfer.paper.datasets.errors import DataError
from trajtransfer.paper.storage.files import set_aside
from trajtransfer.paper.storage.locks import locked
from trajtransfer.paper.storage.progress import notice, progress

BLOCK = 64  # images that a thread makes, and then writes
CHECKED = 2**26  # bytes of evenly spaced images that are checked on opening: all of a small pack

Making = Callable[[int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Pack:
    """The file `path` of images (n, c, h, w) that were made of what the line `made_of` says.

    A file that says something else is another pack.
    """

    path: Path
    made_of: str
    shape: tuple[int, int, int, int]

    def images(self, image: Making) -> Tensor:
        """The images, uint8 (n, c, h, w), in the order of their numbers.

        They are mapped for reading only: whoever writes into them ends the process. If need be they
        are made by ``image(i)`` (c, h, w), which several threads call at a time. Of two processes
        the second waits for the first; what one that was killed has made is kept, and the rest made
        now. A pack that is damaged is set aside. Raises what `image` raises.
        """
        records = self._whole(self.path)
        if records is None:
            with locked(self.path.parent, f"the images {self.path.name}", wait=True):
                records = self._whole(self.path)  # somebody else may have made them meanwhile
                if records is None:
                    self._make(image)
                    records = self._records(self.path)
        with warnings.catch_warnings():
            # A mapping that may be written into counts as memory, and is refused if larger.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            return torch.from_numpy(records["image"])

    @property
    def _header(self) -> bytes:
        about = {"shape": self.shape, "made of": self.made_of}
        return f"{json.dumps(about)}\n".encode()

    @property
    def _record(self) -> np.dtype:
        return np.dtype([("image", np.uint8, self.shape[1:]), ("check", "<u4")])

    def _records(self, path: Path) -> NDArray[np.void]:
        return np.memmap(path, self._record, "r", len(self._header), self.shape[:1])

    def _whole(self, path: Path) -> NDArray[np.void] | None:
        """The images in a file with their sums, unless it is damaged, another pack or not there."""
        if not self._is_laid_out(path):
            return None
        records = self._records(path)
        step = max(1, records.nbytes // CHECKED)
        return records if _are_sound(records[::step]) else None

    def _is_laid_out(self, path: Path) -> bool:
        """Whether there is a file of this pack and its length; its images may be missing."""
        try:
            with path.open("rb") as file:
                found = file.read(len(self._header))
                return found == self._header and path.stat().st_size == self._bytes
        except FileNotFoundError:
            return False

    @property
    def _bytes(self) -> int:
        return len(self._header) + self.shape[0] * self._record.itemsize

    def _make(self, image: Making) -> None:
        """Make the file, which appears when all images are in it."""
        if os.path.lexists(self.path):
            refused = set_aside(self.path, "refused").name
            notice(f"{self.path} is damaged; it is kept as {refused}, and made anew")
        partial = self.path.with_name(f"{self.path.name}.partial")
        if not self._is_laid_out(partial):
            with partial.open("wb") as file:
                file.write(self._header)
                file.truncate(self._bytes)
        try:
            self._fill(partial, image)
        except DataError:
            partial.unlink()  # when that is mended the images are others, in another pack
            raise
        with partial.open("rb+") as file:
            os.fsync(file)  # a power cut must not leave holes under the new name
        os.replace(partial, self.path)

    def _fill(self, partial: Path, image: Making) -> None:
        """Make the blocks that are not there yet.

        Threads do: decoders and filters of Pillow run beside each other, and a pool of processes
        would import the caller's script again.
        """
        starts = range(0, self.shape[0], BLOCK)
        with ThreadPoolExecutor() as threads:
            blocks = threads.map(lambda start: self._fill_block(partial, start, image), starts)
            for _ in progress(blocks, f"packing {self.path.stem}", total=len(starts)):
                pass

    def _fill_block(self, partial: Path, start: int, image: Making) -> None:
        records = np.empty(min(BLOCK, self.shape[0] - start), self._record)
        place = len(self._header) + start * records.itemsize
        with partial.open("rb+") as file:
            file.seek(place)
            if _are_sound(np.frombuffer(file.read(records.nbytes), self._record)):
                return
            for i in range(len(records)):
                records["image"][i] = image(start + i)
                records["check"][i] = zlib.crc32(records["image"][i])
            # Written, not mapped: a full disk is an error then, and no end of the process.
            file.seek(place)
            file.write(records.tobytes())


def _are_sound(records: NDArray[np.void]) -> bool:
    sums = zip(records["image"], records["check"], strict=True)
    return all(zlib.crc32(image) == check for image, check in sums)

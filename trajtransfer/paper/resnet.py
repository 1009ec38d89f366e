"""torchvision's ResNet with basic blocks, at any width."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from trajtransfer.paper._torchvision import torchvision

resnet = torchvision.models.resnet


class ResNet(resnet.ResNet):  # type: ignore[name-defined]
    """So many basic `blocks` per stage, all channels times `width`: 2, 2, 2, 2 make ResNet-18."""

    def __init__(self, blocks: Sequence[int], classes: int, width: float):
        self.scale = width
        super().__init__(resnet.BasicBlock, list(blocks), num_classes=classes)
        self.fc = nn.Linear(self.inplanes, classes)

    def _make_layer(self, block: type, planes: int, *rest: int, **options: int) -> nn.Sequential:
        if planes == 64:  # the first stage: what enters it is scaled too
            self.inplanes = int(64 * self.scale)
            self.conv1 = nn.Conv2d(3, self.inplanes, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(self.inplanes)
        return super()._make_layer(block, int(planes * self.scale), *rest, **options)

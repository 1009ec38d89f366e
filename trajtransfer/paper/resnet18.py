"""torchvision's ResNet-18 at any width."""

from __future__ import annotations

from torch import nn

from trajtransfer.paper._torchvision import torchvision

resnet = torchvision.models.resnet


class ResNet18(resnet.ResNet):  # type: ignore[name-defined]
    """torchvision's ResNet-18 with all channels times `width`."""

    def __init__(self, classes: int, width: float):
        self.scale = width
        super().__init__(resnet.BasicBlock, [2, 2, 2, 2], num_classes=classes)
        self.fc = nn.Linear(self.inplanes, classes)

    def _make_layer(self, block: type, planes: int, *rest: int, **options: int) -> nn.Sequential:
        if planes == 64:  # the first stage: what enters it is scaled too
            self.inplanes = int(64 * self.scale)
            self.conv1 = nn.Conv2d(3, self.inplanes, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(self.inplanes)
        return super()._make_layer(block, int(planes * self.scale), *rest, **options)

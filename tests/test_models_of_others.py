"""Trainings of models that others wrote, moved to other weights of the same models.

Libraries that are no requirement are tried where they are installed.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import trajtransfer as tt
from trajtransfer.paper._torchvision import torchvision

pytestmark = pytest.mark.slow


def made(make, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def moved(make, batches, loss=F.cross_entropy):
    """A transfer to the second seed of one step of gradient descent from the first."""
    model = made(make, 1)
    start = tt.parameters(model)
    end = start + -0.1 * tt.gradient(model, start, batches[0], loss=loss)
    target = made(make, 2)
    states = (dict(start), dict(end))
    states = (states, target.state_dict(), batches)
    found = tt.transfer(made(make, 3), *states, loss=loss, steps=2)
    target.load_state_dict(found.state_dict())
    return found


def images(generator, side=64):
    made = []
    for _ in range(2):
        x = torch.randn(4, 3, side, side, generator=generator)
        made.append((x, (x.mean((1, 2, 3)) > 0).long()))
    return made


class Detector(nn.Module):
    """The backbone of a detector, its pyramid of features and all, and what reads its top."""

    def __init__(self):
        super().__init__()
        backbones = torchvision.models.detection.backbone_utils
        self.backbone = backbones.resnet_fpn_backbone(
            backbone_name="resnet18", weights=None, trainable_layers=5
        )
        self.head = nn.Linear(256, 2)

    def forward(self, x):
        return self.head(self.backbone(x)["pool"].mean((2, 3)))


def test_the_backbone_of_a_detector(generator):
    found = moved(Detector, images(generator))
    assert found.spec.share > 0.999 and len(found.spec.sizes) > 12


def test_a_model_of_timm(generator):
    _ = torchvision.models  # timm imports it, and finds it only where we have
    timm = pytest.importorskip("timm", reason="pip install timm to try it")
    found = moved(lambda: timm.create_model("test_vit", num_classes=2), images(generator, 160))
    assert found.spec.share > 0.9


def test_a_classifier_of_hugging_face_with_its_own_batches(generator):
    _ = torchvision.models
    library = pytest.importorskip("transformers", reason="pip install transformers to try it")
    configuration = library.BertConfig(
        vocab_size=30,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    batches = []
    for _ in range(2):
        words = torch.randint(30, (8, 6), generator=generator)
        mask = torch.ones(8, 6, dtype=torch.long)
        batches.append({"input_ids": words, "attention_mask": mask, "labels": words[:, 0] % 2})
    found = moved(lambda: library.BertForSequenceClassification(configuration), batches)
    assert found.spec.share > 0.999
    assert sorted(found.spec.sizes.values()) == [4, 4, 32, 32, 48, 48]


def test_a_network_that_writes_text_by_its_own_loss(generator):
    """It needs labels to run at all."""
    _ = torchvision.models
    library = pytest.importorskip("transformers", reason="pip install transformers to try it")
    configuration = library.T5Config(
        vocab_size=30,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        use_cache=False,
    )
    batches = []
    for _ in range(2):
        words = torch.randint(1, 30, (8, 6), generator=generator)
        batches.append({"input_ids": words, "labels": words.flip(1)})
    found = moved(lambda: library.T5ForConditionalGeneration(configuration), batches, tt.own_loss)
    assert found.spec.share > 0.9

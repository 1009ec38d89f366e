"""Small configurations of Hugging Face's models; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from trajtransfer.paper._torchvision import torchvision

WIDE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
COMMON = WIDE | {"intermediate_size": 48, "vocab_size": 50, "max_position_embeddings": 64}
SHARED = COMMON | {"num_key_value_heads": 2}
SMALL_HEADS = SHARED | {"head_dim": 8}
PATCHES = WIDE | {"intermediate_size": 48, "image_size": 32, "patch_size": 8}
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
TOKENS = {"vocab_size": 50, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
SIDES = ("encoder", "decoder")
BOTH = {"d_model": 32, **TOKENS}
for _side in SIDES:
    BOTH |= {f"{_side}_layers": 2, f"{_side}_attention_heads": 4, f"{_side}_ffn_dim": 48}
CLASSIFIER = "ForSequenceClassification"
IMAGES = "ForImageClassification"
CAUSAL = "ForCausalLM"
# Prefix of the classes, ending of the model's, configuration, kind of the inputs.
MODELS: list[tuple[str, str, dict[str, Any], str]] = [
    ("Bert", CLASSIFIER, COMMON, "text"),
    ("Roberta", CLASSIFIER, COMMON, "text"),
    (
        "DistilBert",
        CLASSIFIER,
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "vocab_size": 50},
        "text",
    ),
    ("Albert", CLASSIFIER, COMMON | {"embedding_size": 16}, "text"),
    ("Electra", CLASSIFIER, COMMON | {"embedding_size": 16}, "text"),
    ("DebertaV2", CLASSIFIER, COMMON, "text"),
    ("GPT2", "LMHeadModel", {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 50}, "text"),
    ("GPTNeoX", CAUSAL, COMMON, "text"),
    ("OPT", CAUSAL, WIDE | {"ffn_dim": 48, "vocab_size": 50, "word_embed_proj_dim": 32}, "text"),
    ("Bloom", CAUSAL, {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 50}, "text"),
    ("Llama", CAUSAL, SHARED, "text"),
    ("Mistral", CAUSAL, SHARED, "text"),
    ("Qwen2", CAUSAL, SHARED, "text"),
    ("Qwen3", CAUSAL, SMALL_HEADS, "text"),
    ("Gemma", CAUSAL, SMALL_HEADS, "text"),
    ("Phi", CAUSAL, COMMON, "text"),
    (
        "T5",
        "ForConditionalGeneration",
        {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 50},
        "texts",
    ),
    ("Bart", "ForConditionalGeneration", BOTH, "texts"),
    ("ViT", IMAGES, PATCHES, "image"),
    ("DeiT", IMAGES, PATCHES, "image"),
    ("Dinov2", IMAGES, WIDE | {"image_size": 32, "patch_size": 8}, "image"),
    ("ConvNext", IMAGES, STAGES, "large image"),
    ("ResNet", IMAGES, STAGES | {"embedding_size": 8}, "large image"),
    (
        "Swin",
        IMAGES,
        {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "image_size": 32, "patch_size": 2}
        | {"window_size": 4},
        "image",
    ),
    (
        "Segformer",
        IMAGES,
        STAGES | {"num_attention_heads": [1, 2, 2, 4], "decoder_hidden_size": 16},
        "large image",
    ),
    (
        "Wav2Vec2",
        CLASSIFIER,
        WIDE
        | {"intermediate_size": 48, "conv_dim": (16, 16), "conv_kernel": (10, 3)}
        | {"conv_stride": (5, 2), "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 16}
        | {"num_conv_pos_embedding_groups": 4},
        "sound",
    ),
    (
        "Whisper",
        "ForAudioClassification",
        BOTH | {"vocab_size": 60, "num_mel_bins": 16, "max_source_positions": 20},
        "spectrum",
    ),
    ("CLIPVision", "Model", PATCHES, "image"),
    (
        "Mamba",
        CAUSAL,
        {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4, "vocab_size": 50},
        "text",
    ),
]


def models() -> Iterator[tuple[str, Callable[[], tuple[nn.Module, Any]]]]:
    """The name of each model, and what makes it with its inputs."""
    _ = torchvision.models  # transformers import it, and find it only where we have
    for prefix, ending, configuration, kind in MODELS:
        yield prefix, _made(prefix, ending, configuration, kind)


def _made(
    prefix: str, ending: str, configuration: dict[str, Any], kind: str
) -> Callable[[], tuple[nn.Module, Any]]:
    def make() -> tuple[nn.Module, Any]:
        import transformers

        described = getattr(transformers, f"{prefix}Config")(**configuration)
        inputs = _inputs(kind)
        if hasattr(described, "use_cache"):
            described.use_cache = False
        if kind == "texts":
            inputs["use_cache"] = False
        return getattr(transformers, prefix + ending)(described).eval(), inputs

    return make


def _inputs(kind: str) -> dict[str, Any]:
    words = torch.randint(3, 50, (2, 9))
    return {
        "text": {"input_ids": words},
        "texts": {"input_ids": words, "decoder_input_ids": words},
        "image": {"pixel_values": torch.randn(2, 3, 32, 32)},
        "large image": {"pixel_values": torch.randn(2, 3, 64, 64)},
        "sound": {"input_values": torch.randn(2, 400)},
        "spectrum": {"input_features": torch.randn(2, 16, 40)},
    }[kind]

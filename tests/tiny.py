"""Tiny models on disk, with random weights and a real tokenizer: as fast as a test wants them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["BERT_CONTEXT", "LAYERS", "tiny_bert", "tiny_model", "tiny_t5"]

LAYERS = 3
BERT_CONTEXT = 48
_T5 = ("t5", "mt5")
_CHARACTERS = "0123456789.,:;=+-_[] abcdefghijklmnopqrstuvwxyz?"
"""What the tokenizers know, one token each: no braces, so that ``{`` and ``}`` are unknown as in T5."""


def tiny_t5(folder: Path, **config: Any) -> Path:
    """A T5 encoder of width 16 without a limit of positions."""
    return tiny_model(folder, "t5", **config)


def tiny_bert(folder: Path, **config: Any) -> Path:
    """A BERT of width 16 that reads 48 tokens."""
    return tiny_model(folder, "bert", **config)


def tiny_model(folder: Path, kind: str, *, seed: int = 0, **config: Any) -> Path:
    """Write `kind` to `folder` as configuration, safetensors and tokenizer.json; returns `folder`."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding

    folder.mkdir(parents=True, exist_ok=True)
    size = _write_tokenizer(folder, "t5" if kind in _T5 else "bert")
    shape: dict[str, Any] = {"vocab_size": size, "num_hidden_layers": LAYERS, "pad_token_id": 0}
    shape |= {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    # Models of RoBERTa's kind count positions from behind the padding index.
    shape |= {"max_position_embeddings": BERT_CONTEXT + 2 * (kind not in ("bert", "distilbert", "electra"))}
    if kind in _T5:
        shape = {
            "vocab_size": size,
            "d_model": 16,
            "d_kv": 8,
            "d_ff": 32,
            "num_layers": LAYERS,
            "num_heads": 2,
        }
        shape |= {"feed_forward_proj": "gated-gelu", "pad_token_id": 0, "eos_token_id": 1}
    elif kind == "electra":
        shape["embedding_size"] = 16
    elif kind == "distilbert":
        shape["hidden_dim"] = shape.pop("intermediate_size")
    settings = AutoConfig.for_model(kind, **{**shape, **config})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = (AutoModelForTextEncoding if kind in _T5 else AutoModel).from_config(settings)
        for parameter in model.parameters():  # as published, a T5 starts with a scale of its own
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder


def _write_tokenizer(folder: Path, kind: str) -> int:
    """Characters as tokens, framed like the real ones; returns the number of tokens."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    t5 = kind == "t5"
    special = ["<pad>", "</s>", "<unk>"] if t5 else ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    unknown = special[2] if t5 else special[1]
    words = {w: i for i, w in enumerate([*special, *_CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=unknown))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    frame = "$A </s>" if t5 else "[CLS] $A [SEP]"
    used = [(w, words[w]) for w in frame.split() if w != "$A"]
    tokenizer.post_processor = processors.TemplateProcessing(single=frame, special_tokens=used)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": special[0], "unk_token": unknown}
    names |= {"eos_token": "</s>"} if t5 else {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 20, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(words)

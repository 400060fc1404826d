"""Tiny models on disk, with random weights and a real tokenizer: as fast as a test wants them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

__all__ = [
    "BERT_CONTEXT",
    "DECODERS",
    "LAYERS",
    "tiny_bert",
    "tiny_decoder",
    "tiny_model",
    "tiny_sentencepiece_t5",
    "tiny_t5",
    "train_sentencepiece",
]

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
    from transformers import AutoConfig

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
    elif kind == "modernbert":
        shape |= {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    return _save(folder, AutoConfig.for_model(kind, **{**shape, **config}), seed)


def _save(folder: Path, settings: Any, seed: int) -> Path:
    """Weights drawn for a configuration, of one scale throughout."""
    import torch
    from transformers import AutoModel, AutoModelForTextEncoding

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        auto: Any = AutoModelForTextEncoding if settings.model_type in _T5 else AutoModel
        model = auto.from_config(settings)
        for parameter in model.parameters():  # as published, a T5 starts with a scale of its own
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder


DECODERS: dict[str, dict[str, Any]] = {
    "gpt2": {"class": "GPT2Tokenizer"},
    "gpt_neox": {"class": "GPTNeoXTokenizer", "num_key_value_heads": None},  # Pythia
    "qwen2": {"class": "Qwen2Tokenizer"},
    "qwen3": {"class": "Qwen2Tokenizer", "head_dim": 8, "after": "<eos>"},  # Qwen3-Embedding ends its rows
    "gemma": {"class": "PreTrainedTokenizerFast", "head_dim": 8, "before": "<bos>"},
    "gemma2": {"class": "PreTrainedTokenizerFast", "head_dim": 8, "before": "<bos>", "sliding_window": 8},
    "gemma3_text": {
        "class": "PreTrainedTokenizerFast",
        "head_dim": 8,
        "before": "<bos>",
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
    },
    "llama": {"class": "PreTrainedTokenizerFast", "before": "<bos>"},
    "smollm": {"class": "GPT2Tokenizer", "type": "llama", "digits": True},
    "mistral": {"class": "PreTrainedTokenizerFast", "before": "<bos>", "sliding_window": 8},
    "gpt_oss": {  # with attention sinks
        "class": "PreTrainedTokenizerFast",
        "head_dim": 8,
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "sliding_window": 8,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    },
}
"""What sets each decoder's configuration and tokenizer apart; none has a padding token."""


def tiny_decoder(folder: Path, name: str, *, seed: int = 0, **config: Any) -> Path:
    """Write a causal model of width 16 that reads 64 tokens, with a byte-level tokenizer."""
    from transformers import AutoConfig

    folder.mkdir(parents=True, exist_ok=True)
    own = {**DECODERS[name], **config}
    size = _write_byte_tokenizer(folder, own.pop("class"), own.pop("before", ""), own.pop("after", ""),
                                 own.pop("digits", False))  # fmt: skip
    kind = own.pop("type", name)
    shape: dict[str, Any] = {"vocab_size": size, "max_position_embeddings": 64, "hidden_size": 16}
    shape |= {"num_hidden_layers": LAYERS, "num_attention_heads": 2, "num_key_value_heads": 1}
    shape |= {"intermediate_size": 32, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
    if kind == "gpt2":
        shape = {"vocab_size": size, "n_embd": 16, "n_layer": LAYERS, "n_head": 2, "n_positions": 64,
                 "bos_token_id": 0, "eos_token_id": 1}  # fmt: skip
    settings = {k: v for k, v in {**shape, **own}.items() if v is not None or k == "pad_token_id"}
    return _save(folder, AutoConfig.for_model(kind, **settings), seed)


def _write_byte_tokenizer(folder: Path, name: str, before: str, after: str, digits: bool) -> int:
    """Byte-level BPE trained on rows of numbers, digits one by one or not; returns the number of tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    parts: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*parts, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<bos>", "<eos>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    tokenizer.train_from_iterator(_rows(), trainer)
    frame = " ".join(part for part in (before, "$A", after) if part)
    used = [(t, tokenizer.token_to_id(t)) for t in (before, after) if t]
    if used:
        tokenizer.post_processor = processors.TemplateProcessing(single=frame, special_tokens=used)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": name, "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": None}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return int(tokenizer.get_vocab_size())


def _rows() -> list[str]:
    draw = random.Random(0)
    return [",".join(f"x{i}:{draw.uniform(-5, 5):.4f}" for i in range(1 + n % 6)) for n in range(300)] + [
        "plain words and numbers are read, too"
    ] * 30


def train_sentencepiece(folder: Path) -> Path:
    """A unigram model with T5's ids (padding 0, end 1, unknown 2), as the package trains it."""
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_rows()), model_prefix=str(folder / "spiece"), model_type="unigram",
        vocab_size=160, hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
        num_threads=1,
    )  # fmt: skip
    (folder / "spiece.vocab").unlink()
    return folder / "spiece.model"


def tiny_sentencepiece_t5(folder: Path, *, whole: bool = False, seed: int = 0, **config: Any) -> Path:
    """A T5 as published: spiece.model and no tokenizer.json; `whole` keeps its decoder in the checkpoint."""
    import sentencepiece
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(train_sentencepiece(folder)))
    settings = {"tokenizer_class": "T5Tokenizer", "extra_ids": 100}
    settings |= {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    shape: dict[str, Any] = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": LAYERS, "num_heads": 2}
    shape |= {"vocab_size": pieces.vocab_size() + 100, "pad_token_id": 0, "eos_token_id": 1}
    made = T5Config(**{**shape, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, **config})
    if not whole:
        return _save(folder, made, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = T5ForConditionalGeneration(made)
        for parameter in model.parameters():
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

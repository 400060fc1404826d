"""Python code that fits the advised pipeline again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embreg.advice import Advice

__all__ = ["code_of"]


def code_of(advice: Advice) -> str:
    """Python that fits ``advice.best`` on the same columns, read in the same way.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    str
        Of a file its path stands there as it was given; of a table in memory the name ``table``.
    """
    path, kinds = advice.settings.get("path"), dict(advice.kinds)
    unused = advice.columns.loc[~advice.columns["used"].astype(bool), "name"].tolist()
    return "\n".join([
        "import embreg",
        "",
        f"# {advice.best}: chosen among {len(advice.scoreboard)} candidates on {advice.n_rows:,} rows",
        "model = embreg.advice.fit(",
        f"    {'table' if path is None else repr(path)},",
        f"    {advice.target!r},",
        f"    candidate={advice.best!r},",
        f"    models={list(advice.models)!r},",
        f"    kinds={_wrapped(kinds)},",
        f"    drop={_wrapped(unused)},",
        f"    random_state={advice.settings.get('random_state', 0)!r},",
        ")",
        'embreg.save(model, "model")',
        "mean, low, high = model.predict(rows, return_interval=True)  # rows: a DataFrame of these columns",
        "",
    ])  # fmt: skip


def _wrapped(value: object) -> str:
    text = repr(value)
    if len(text) < 90:
        return text
    # JSON of strings is Python too, and breaks its lines.
    return json.dumps(value, indent=4, ensure_ascii=False).replace("\n", "\n    ")

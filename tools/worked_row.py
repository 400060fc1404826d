"""Write the worked row of the introduction: book/results/worked_row.json and book/_static/worked_row.svg.

    python tools/worked_row.py            compute, and write
    python tools/worked_row.py --check    say whether what is there is current

One row of one synthetic task, from its numbers to a prediction, with the default model. The weights come with
``embreg models fetch``.
"""

from __future__ import annotations

import argparse
import html
import json
import sys
from pathlib import Path
from typing import Any

from embreg._files import atomic_path

ROOT = Path(__file__).resolve().parents[1]
RESULT = "book/results/worked_row.json"
PICTURE = "book/_static/worked_row.svg"
MODEL = "flan-t5-small-titles"
FUNCTION, DOF, ROWS, SEED = "Sphere", 5, 500, 0
TOLERANCE = 0.1
"""Largest difference in a prediction, in units of the target's spread: machines round differently."""


def compute() -> dict[str, Any]:
    """Follow the first test row of the task."""
    from embreg import MLPHead, TextEmbedder, kendall_tau, serialize, tasks

    task = tasks.bbob(FUNCTION, dof=DOF, n=ROWS, seed=SEED)
    train, val, test = task.split(seed=SEED)
    texts = serialize(task.rows)
    embedder = TextEmbedder(MODEL)
    X = embedder.fit_transform(texts)
    head = MLPHead(learning_rates=(1e-3, 1e-2), weight_decays=(0.0,), random_state=SEED).fit(
        X[train], task.y[train], X_val=X[val], y_val=task.y[val]
    )
    predicted = head.predict(X[test])
    row = test[0]
    return {
        "function": FUNCTION,
        "dof": DOF,
        "train": len(train),
        "test": len(test),
        "model": MODEL,
        "numbers": [float(v) for v in task.rows.iloc[row]],
        "text": texts[row],
        "tokens": int(embedder.report_.tokens_per_row[row]),
        "width": int(X.shape[1]),
        "vector": [float(v) for v in X[row, :3]],
        "target": float(task.y[row]),
        "predicted": float(predicted[0]),
        "spread": float(task.y.std()),
        "tau": float(kendall_tau(task.y[test], predicted)),
    }


def facts(made: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Texts that the page quotes."""
    texts = {
        **{k: str(made[k]) for k in ("function", "dof", "train", "test", "model", "text", "tokens", "width")},
        "numbers": ", ".join(f"{v:.4f}" for v in made["numbers"]),
        "vector": ", ".join(f"{v:.2f}" for v in made["vector"]),
        "target": f"{made['target']:.1f}",
        "predicted": f"{made['predicted']:.1f}",
        "tau": f"{made['tau']:.2f}",
    }
    return {name: {"text": text} for name, text in texts.items()}


def draw(said: dict[str, dict[str, str]]) -> str:
    """Five boxes, one below the other: legible on a phone, on a card of its own in the dark."""
    text = {name: fact["text"] for name, fact in said.items()}
    cut = text["text"].rfind(",", 0, 34) + 1
    boxes = [
        ("a row", f"{text['dof']} numbers", [text["numbers"]]),
        ("a string", "serialize", [text["text"][:cut], text["text"][cut:]]),
        ("a vector", f"frozen language model, {text['tokens']} tokens",
         [f"({text['vector']}, …)", f"{text['width']} numbers: φ_LLM"]),
        ("a prediction", "head: a small network", [f"ŷ = {text['predicted']}"]),
        ("a score", f"τ over {text['test']} test rows", [f"y = {text['target']}", f"τ = {text['tau']}"]),
    ]  # fmt: skip
    out, y = [], 12
    for i, (name, how, lines) in enumerate(boxes):
        height = 34 + 19 * len(lines)
        if i:
            out.append(
                f'<path d="M190 {y - 20}v13m-5 -6l5 6l5 -6" fill="none" stroke="#555" stroke-width="1.5"/>'
            )
        out.append(
            f'<rect x="12" y="{y}" width="356" height="{height}" rx="6" fill="#fff" stroke="#0b4f8a"/>'
        )
        out.append(f'<text x="24" y="{y + 20}" font-weight="600" fill="#0b4f8a">{html.escape(name)}</text>')
        out.append(f'<text x="356" y="{y + 20}" fill="#444" text-anchor="end">{html.escape(how)}</text>')
        for j, line in enumerate(lines):
            mono = 'font-family="ui-monospace, monospace" font-size="13"'
            out.append(f'<text x="24" y="{y + 42 + 19 * j}" fill="#111" {mono}>{html.escape(line)}</text>')
        y += height + 22
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 380 {y - 10}" width="380" height="{y - 10}" '
        f'font-family="system-ui, sans-serif" font-size="14">\n'
        f'<rect width="380" height="{y - 10}" rx="8" fill="#f7f7f5"/>\n' + "\n".join(out) + "\n</svg>\n"
    )


def differences(new: dict[str, Any], root: Path = ROOT) -> list[str]:
    """Where the files differ from what was computed now."""
    path = root / RESULT
    if not path.is_file():
        return [f"{RESULT} is missing"]
    stored = json.loads(path.read_text(encoding="utf-8"))
    old = stored["computed"]
    exact = ("function", "dof", "train", "test", "model", "text", "tokens", "width", "numbers", "target")
    found = [f"{k}: {old.get(k)!r} is now {new[k]!r}" for k in exact if old.get(k) != new[k]]
    if abs(old["predicted"] - new["predicted"]) > TOLERANCE * new["spread"]:
        found.append(f"predicted: {old['predicted']} is now {new['predicted']}")
    if stored["facts"] != facts(old):
        found.append("the texts do not come from the numbers")
    if (root / PICTURE).read_text(encoding="utf-8") != draw(facts(old)):
        found.append(f"{PICTURE} does not come from the texts")
    return found


def main() -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; say what is not current")
    if parser.parse_args().check:
        found = differences(compute())
        print(*found, sep="\n", file=sys.stderr)
        return int(bool(found))
    made = compute()
    said = facts(made)
    content = json.dumps({"computed": made, "facts": said, "tables": {}}, indent=1, ensure_ascii=False)
    for name, text in ((RESULT, f"{content}\n"), (PICTURE, draw(said))):
        with atomic_path(ROOT / name) as tmp:
            tmp.write_text(text, encoding="utf-8")
    print(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())

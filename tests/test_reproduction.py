"""Reproducibility: what is compared, how closely, what is named when it differs, the command's exit codes."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook

from embreg._files import digest, sha256_file
from embreg.cli import main
from embreg.keys import _NO_EFFECT, package_folder, run_key
from embreg.profiles import load_profile
from embreg.reproducing import table as table_module
from embreg.reproducing.comparing import Deviation, compare, figures
from embreg.reproducing.rules import (
    END,
    FEW,
    FLOOR,
    NOISES,
    RELATIVE,
    ROUNDING,
    RULES,
    SHARE,
    agrees,
    is_exact,
    noise,
    reason_to_skip,
    tolerance,
)
from embreg.reproducing.summary import summarize, table_summary, words_of
from embreg.reproducing.table import MAX_BYTES, path_of, read, write
from embreg.reproduction import compare_with_reference, write_reference

REPO = Path(__file__).parents[1]


def records(**changed: Any) -> pd.DataFrame:
    """Fits as `experiment.compare` gives them: two representations, two tasks, two seeds."""
    rng = np.random.default_rng(0)
    rows = [
        {"suite": "paper", "task": task, "dof": 5, "seed": seed, "representation": rep, "head": "mlp",
         "kendall_tau": round(float(rng.uniform(0.2, 0.8)), 4), "mse": 10.0 * rng.uniform(),
         "val_kendall_tau": 0.5, "chosen": "{}", "fit_seconds": rng.uniform(), "embed_seconds": rng.uniform(),
         "tokens_per_row": 25.5, "unk_rate": 0.125, "truncated": 0, "commit": "c", "versions": "{}"}
        for rep in ("φ_trad", "minilm") for task in ("Sphere", "Discus") for seed in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**changed)


FACTS: dict[str, Any] = {
    "gap": {"value": 0.25, "low": 0.1, "high": 0.4, "text": "0.25 [0.10, 0.40]"},
    "headline": {"value": "A is ahead by 0.25.", "text": "A is ahead by 0.25."},
}


def make_run(
    root: Path,
    name: str = "01_a",
    table: pd.DataFrame | None = None,
    facts: Any = FACTS,
    **more: pd.DataFrame,
) -> Path:
    """A run folder as the runner leaves it, current for the project at `root`."""
    spec = next(s for s in load_profile("smoke", root) if s.name == name)
    key = run_key(root / "notebooks" / f"{spec.notebook}.ipynb", spec.parameters, root)
    folder = root / "runs" / "smoke" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "figures").mkdir(parents=True)
    (folder / "notebook.ipynb").write_text("{}")
    (folder / "figures" / "tau.svg").write_text("<svg/>")
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    for stem, frame in {"records": records() if table is None else table, **more}.items():
        frame.to_parquet(folder / f"{stem}.parquet", index=False)
    made = {
        "run": name, "notebook": spec.notebook, "profile": "smoke", "parameters": key["parameters"],
        "key": key, "digest": digest(key), "started": "2026-01-01T00:00:00+00:00", "seconds": 1.0,
        "commit": None,
        "machine": {"platform": "Linux x86_64", "processor": "P", "cores": 2}, "versions": {"python": "3"},
    }  # fmt: skip
    seal(folder, made)
    return folder


def seal(folder: Path, made: dict[str, Any] | None = None) -> None:
    """Write run.json with the checksums of what is there, as a careful forger would."""
    made = made or json.loads((folder / "run.json").read_text())
    (folder / "run.json").unlink(missing_ok=True)
    paths = [p for p in folder.rglob("*") if p.is_file()]
    files = {p.relative_to(folder).as_posix(): sha256_file(p) for p in paths}
    (folder / "run.json").write_text(json.dumps({**made, "files": files}))


def write_notebook(root: Path, name: str, code: str = "print(n)") -> None:
    cells = [
        new_code_cell("n = 2", id="p", metadata={"tags": ["parameters"]}),
        new_code_cell(code.strip(), id="c"),
    ]
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "profiles.yml").write_text("smoke: {01_a: {}, 02_b: {}}\npaper: {01_a: {}}\n")
    for name in ("01_a", "02_b"):
        write_notebook(tmp_path, name)
    for name in ("01_a", "02_b"):
        make_run(tmp_path, name)
    write_reference("smoke", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_did_not_change_agrees_to_the_last_figure(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = compare_with_reference("smoke", root)
    # Two groups with n, τ, tokens, unknown, truncated, and one fact, in each of two runs.
    assert (report.agreed, report.of, report.agrees) == (22, 22, True)
    assert [(r.drawn_agreed, r.drawn) for r in report.runs] == [(1, 1), (1, 1)]
    assert main(["reproduce", "--no-run"]) == 0
    out = capsys.readouterr().out
    assert "22 of 22" in out and "none" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_tampered_record_is_caught_with_and_without_its_checksum(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = root / "runs" / "smoke" / "01_a"
    forged = records()
    forged.loc[forged.representation == "minilm", "kendall_tau"] += 0.3
    forged.to_parquet(folder / "records.parquet", index=False)
    assert main(["reproduce", "--no-run"]) == 1
    assert "records.parquet was" in capsys.readouterr().out
    seal(folder)
    assert main(["reproduce", "--no-run"]) == 1
    out, err = capsys.readouterr()
    assert "01_a: records, representation minilm: kendall_tau" in out
    assert err == "embreg: 1 of 2 runs agree with their reference\n"
    report = compare_with_reference("smoke", root)
    assert [(d.run, d.what) for d in report.beyond] == [
        ("01_a", "records, representation minilm: kendall_tau")
    ]
    assert report.beyond[0].size == pytest.approx(0.3, abs=1e-5)
    assert (report.agreed, report.of) == (21, 22)
    assert [(r.drawn_agreed, r.drawn) for r in report.runs] == [(0, 1), (1, 1)]


def test_deviations_come_worst_first(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {**FACTS, "gap": {**FACTS["gap"], "value": 0.35}}  # 0.1 where 0.075 is allowed
    moved = records()
    moved["unk_rate"] = 0.126  # must be equal: a hundred times what rounding does
    make_run(root, "01_a", moved, facts)
    report = compare_with_reference("smoke", root)
    assert [d.what.rpartition(" ")[2] for d in report.beyond] == ["unk_rate", "unk_rate", "gap"]
    assert report.largest == max(report.beyond, key=lambda d: (d.ratio, d.what))
    main(["reproduce", "--no-run", "01"])
    out = capsys.readouterr().out
    assert out.index("unk_rate") < out.index("01_a: fact gap\n  0.25 → 0.35, 0.1, allowed 0.075")


def test_what_one_side_lacks_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def troubles() -> dict[str, str]:
        return {r.name: r.trouble for r in compare_with_reference("smoke", root).runs}

    shutil.rmtree(root / "runs" / "smoke" / "02_b")
    assert troubles() == {"01_a": "", "02_b": "never ran"}
    assert main(["reproduce", "--no-run"]) == 1
    assert "never ran" in capsys.readouterr().out
    make_run(root, "02_b")

    write_notebook(root, "03_c")
    (root / "notebooks" / "profiles.yml").write_text("smoke: {02_b: {}, 03_c: {}}")
    make_run(root, "03_c")
    assert troubles() == {"02_b": "", "03_c": "not in the reference", "01_a": "not in profile smoke"}
    report = compare_with_reference("smoke", root)
    assert (report.agreed, report.of, report.agrees) == (11, 33, False)
    assert compare_with_reference("smoke", root, ["02"]).agrees


def test_tables_facts_and_images_that_one_side_lacks(root: Path) -> None:
    other = pd.DataFrame({"model": ["m"], "difference": [0.1], "low": [0.0], "high": [0.2]})
    folder = make_run(root, "01_a", records(head="ridge"), {"new": FACTS["gap"]}, differences=other)
    run = compare_with_reference("smoke", root).runs[0]
    assert run.outcome.lost == ("fact gap",)
    assert run.outcome.new == ("fact new", "differences: difference")
    assert run.outcome.said == ("headline",) and not run.agrees
    make_run(root, "01_a")
    (folder / "figures" / "tau.svg").unlink()
    seal(folder)
    run = compare_with_reference("smoke", root).runs[0]
    assert run.outcome.agreed == run.outcome.of and (run.drawn_agreed, run.drawn) == (0, 1) and not run.agrees


def test_a_result_of_other_code_or_parameters_is_not_compared(root: Path) -> None:
    write_notebook(root, "01_a", "print(n + 1)")
    assert compare_with_reference("smoke", root).runs[0].trouble == "changed: the notebook's cells"
    with pytest.raises(ValueError, match=r"must come from current runs, however: 01_a: changed: the note"):
        write_reference("smoke", root)
    write_notebook(root, "01_a")
    (root / "notebooks" / "profiles.yml").write_text("smoke: {01_a: {n: 9}, 02_b: {}}")
    make_run(root, "01_a")
    run = compare_with_reference("smoke", root).runs[0]
    assert run.trouble == "the reference has other parameters: n" and run.outcome.agreed == 0


def test_times_are_never_compared(root: Path) -> None:
    slow = records(fit_seconds=1e6, embed_seconds=math.nan, mse=7.0, val_kendall_tau=0.0)
    make_run(root, "01_a", slow, {**FACTS, "circumstances": {"value": "9 ms", "text": "9 ms"},
                                  "embed_seconds": {"value": 3.0, "text": "3"}})  # fmt: skip
    assert compare_with_reference("smoke", root).agrees
    kept = (root / "book" / "results" / "reference" / "smoke.json").read_text(encoding="utf-8")
    assert "seconds" not in kept and "val_" not in kept


@pytest.mark.parametrize(
    "name",
    ["fit_seconds", "batch_ms", "single_ms_high", "tokens_per_s", "fit_s", "fit_s_low", "memory_mb",
     "peak_mb",
     "latency", "dollars_per_million_rows", "times as fast", "p_corrected", "ahead", "win_low",
     "rate_automl", "val_r2", "power", "mse", "headline_fit_seconds"],
)  # fmt: skip
def test_names_that_are_left_out(name: str) -> None:
    assert reason_to_skip(name)


@pytest.mark.parametrize(
    "name",
    ["kendall_tau", "tokens_per_row", "unk_rate", "unknown", "parameters", "gap_mlp", "mean_less_last",
     "spread",
     "precision_all_minilm_l6_v2_bfloat16", "sd_seed", "coverage", "flops", "rank_all_minilm_l6_v2", "rise",
     "effect_x0__x1___", "doubling_tables", "kept, worst task"],
)  # fmt: skip
def test_names_that_are_compared(name: str) -> None:
    assert reason_to_skip(name) == ""


def test_a_table_of_times_alone_leaves_nothing() -> None:
    rounds = pd.DataFrame({"contender": ["a", "b"], "batch_ms": [1.0, 2.0], "fit_s": [0.1, 0.2]})
    assert table_summary(rounds, "rounds") is None
    assert table_summary(pd.DataFrame({"family": ["a"], "value": [0.5]}), "wins") is None


# ------------------------------------------------------------------ tolerances

finite = st.floats(-100, 100, allow_nan=False)


@given(value=finite, low=finite, high=finite, part=st.floats(-0.99, 0.99))
@example(0.0, 0.0, 0.0, 0.99)
def test_within_the_tolerance_agrees_and_beyond_it_does_not(
    value: float, low: float, high: float, part: float
) -> None:
    low, high = min(low, high), max(low, high)
    allowed = tolerance(value, low, high)
    assert allowed == pytest.approx(max(FLOOR, RELATIVE * abs(value), SHARE * (high - low)))
    assert agrees(value, value + part * allowed, allowed)
    assert not agrees(value, value + 1.01 * allowed, allowed)
    assert not agrees(value, value - 1.01 * allowed, allowed)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_edge_itself_agrees(sign: int) -> None:
    for reference in (0.0, 0.1, 0.123456, -0.7):
        assert agrees(reference, round(reference + sign * FLOOR, 6), tolerance(reference))
        assert not agrees(reference, round(reference + sign * (FLOOR + 1e-5), 6), tolerance(reference))


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_counts_must_be_equal(count: int, more: int) -> None:
    def summary(n: int) -> dict[str, Any]:
        return {"facts": {"count": [n]}, "words": {}, "tables": {}}

    assert compare("r", summary(count), summary(count)).agreed == 1
    changed = compare("r", summary(count), summary(count + more))
    assert changed.agreed == (more <= ROUNDING * count * (1 + 1e-6) + 1e-6)


@given(st.floats(-1, 1), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(-0.2, 0.2))
def test_ends_may_move_twice_as_far(value: float, below: float, above: float, moved: float) -> None:
    def summary(low: float) -> dict[str, Any]:
        return {"facts": {"gap": [value, low, value + above]}, "words": {}, "tables": {}}

    allowed = END * tolerance(value, value - below, value + above)
    outcome = compare("r", summary(value - below), summary(value - below + moved))
    if abs(abs(moved) - allowed) > 1e-5:
        assert outcome.agreed == (abs(moved) < allowed)
        assert all(d.what == "fact gap (lower end)" for d in outcome.beyond)


def test_few_test_rows_and_few_fits_leave_more_room() -> None:
    def tau(value: float, fits: dict[str, int]) -> dict[str, Any]:
        facts = {"gap": [value, value - 0.01, value + 0.01]}
        return {"facts": facts, "words": {}, "tables": {}, "fits": fits}

    few, many = {"test_rows": 10, "fits": 4, "seeds": 2}, {"test_rows": 50, "fits": 115, "seeds": 5}
    assert NOISES * noise(50, 115) < 0.03 < 0.3 < NOISES * noise(10, 4)
    assert compare("r", tau(0.5, few), tau(0.8, few)).agreed == 1
    assert compare("r", tau(0.5, many), tau(0.8, many)).agreed == 0
    # What the run says of itself does not widen what the reference allows.
    assert compare("r", tau(0.5, many), tau(0.8, few)).agreed == 0


@pytest.mark.parametrize("m", [6, 10, 50])
def test_the_noise_of_a_fit_is_that_of_kendalls_tau_between_strangers(m: int) -> None:
    from scipy.stats import kendalltau

    rng = np.random.default_rng(m)
    drawn = [kendalltau(np.arange(m), rng.permutation(m)).statistic for _ in range(600)]
    assert np.std(drawn) == pytest.approx(noise(m, 1), rel=0.1)
    assert noise(m, 4) == pytest.approx(noise(m, 1) / 2)


def test_ends_over_few_fits_are_not_compared() -> None:
    def gap(low: float, fits: int) -> dict[str, Any]:
        about = {"test_rows": 500, "fits": fits, "seeds": 2}
        return {"facts": {"gap": [0.5, low, 0.6]}, "words": {}, "tables": {}, "fits": about}

    assert compare("r", gap(0.4, FEW - 1), gap(-3.0, FEW - 1)).agreed == 1
    assert compare("r", gap(0.4, FEW), gap(-3.0, FEW)).agreed == 0


def test_a_number_that_is_gone_differs_and_no_number_twice_agrees() -> None:
    assert agrees(None, None, 0.0) and not agrees(None, 0.5, 9.0) and not agrees(0.5, None, 9.0)
    assert Deviation("r", "w", 0.5, None, 0.02).ratio == math.inf
    assert Deviation("r", "w", None, None, 0.02).ratio == 0
    assert Deviation("r", "w", 2, 3, 0.0).ratio == math.inf
    assert tolerance(0.5, -math.inf, math.inf) == FLOOR
    assert is_exact("truncated", whole=False) and not is_exact("width", whole=False)


def test_every_rule_has_a_limit_and_a_reason() -> None:
    assert all(rule.what and rule.limit and len(rule.why) > 15 for rule in RULES)


# ------------------------------------------------------------------ the summary of a table


def test_groups_are_told_apart_by_what_varies_and_nothing_else() -> None:
    table = records()
    twice = pd.concat([table, table.assign(dof=25, kendall_tau=table.kendall_tau + 0.1)])
    out = table_summary(twice.assign(model=twice.representation, variant="paper", layer=-1.0))
    assert out is not None and out["of"] == ["dof", "representation"] and len(out["rows"]) == 4
    place = dict(zip([*out["of"], *out["columns"]], out["rows"][0], strict=True))
    part = twice[(twice.dof == 5) & (twice.representation == "φ_trad")].kendall_tau
    assert place["n"] == 4 and place["kendall_tau"] == pytest.approx(part.mean(), rel=1e-5)
    assert place["kendall_tau_high"] == pytest.approx(part.mean() + 1.96 * part.std() / 2, rel=1e-5)
    assert set(out["exact"]) == {"n", "tokens_per_row", "unk_rate", "truncated"}


@given(st.permutations(range(8)))
def test_the_order_of_the_records_does_not_matter(order: list[int]) -> None:
    a, b = table_summary(records()), table_summary(records().iloc[order])
    outcomes = compare("r", *({"facts": {}, "words": {}, "tables": {"records": t}} for t in (a, b)))
    assert outcomes.agreed == outcomes.of == 10 and not outcomes.lost


def test_rows_that_nothing_tells_apart_are_numbered_and_no_number_is_lost() -> None:
    out = table_summary(pd.DataFrame({"verdict": ["holds", "fails"], "value": [0.1, 0.2], "low": [0.0, 0.1],
                                      "high": [0.2, 0.3]}), "predictions")  # fmt: skip
    assert out is not None and out["of"] == ["row"]
    assert list(figures({"facts": {}, "tables": {"t": out}})) == ["t, row 1: value", "t, row 2: value"]


@pytest.mark.parametrize(
    ("columns", "ends"),
    [(["difference", "low", "high"], "difference"), (["value", "spread", "low", "high"], "spread"),
     (["doubling_value", "doubling_low", "doubling_high"], "doubling_value"),
     (["d", "d_low", "d_high"], "d")],
)  # fmt: skip
def test_ends_belong_to_their_number(columns: list[str], ends: str) -> None:
    out = table_summary(pd.DataFrame([[0.5] * len(columns)], columns=columns), "t")
    assert out is not None
    found = figures({"facts": {}, "tables": {"t": out}})
    assert found[f"t: {ends}"].low == 0.5 and not any(k.endswith(("low", "high")) for k in found)


def test_test_rows_and_fits_are_read_from_the_records(root: Path) -> None:
    two = pd.concat([records(n_samples=60), records(suite="shifted", n_samples=80)])
    folder = make_run(root, "01_a", two)
    assert summarize(folder)["fits"] == {"test_rows": 6, "fits": 4, "seeds": 2}
    made = json.loads((folder / "run.json").read_text())
    seal(folder, {**made, "parameters": {"n_test": 500}})
    assert summarize(folder)["fits"]["test_rows"] == 500


def test_what_is_no_number_is_kept_as_none() -> None:
    one = table_summary(pd.DataFrame({"seed": [0], "kendall_tau": [0.5]}))
    assert one is not None and one["rows"] == [[1, 0.5, None, None]]  # one fit shows no spread
    none = table_summary(pd.DataFrame({"task": ["a", "b"], "z": [np.nan, np.inf]}), "gaps")
    assert none is not None and [r[-1] for r in none["rows"]] == [None, None]


def test_sentences_are_compared_without_their_numbers() -> None:
    assert words_of("τ = -0.02 [-.5, 1e-3], 7 of 8 in T5-small") == "τ = # [#, #], # of # in T5-small"
    assert words_of("is ahead by 0.2") != words_of("is behind by 0.2")


# ------------------------------------------------------------------ the files


def test_the_table_says_what_made_it_and_can_be_read_line_by_line(root: Path) -> None:
    text = path_of("smoke", root).read_text(encoding="utf-8")
    run = json.loads(text)["runs"]["01_a"]
    assert {"digest", "started", "commit", "machine", "versions", "models", "parameters"} <= run.keys()
    assert sum("minilm" in line for line in text.splitlines()) == 2  # one row in each run
    before = path_of("smoke", root).read_bytes()
    write_reference("smoke", root, ["01"])
    assert path_of("smoke", root).read_bytes() == before


def test_one_run_is_replaced_and_the_others_stay(root: Path) -> None:
    make_run(root, "01_a", records(unk_rate=0.5))
    make_run(root, "02_b", records(unk_rate=0.5))
    write_reference("smoke", root, ["01"])
    assert [r.agrees for r in compare_with_reference("smoke", root).runs] == [True, False]


def test_weights_are_named_by_their_digest() -> None:
    found = table_module.model_digests({"models": ["all-MiniLM-L6-v2:values:2"], "dofs": [5]})
    assert list(found) == ["all-MiniLM-L6-v2"] and len(found["all-MiniLM-L6-v2"]) == 64


def test_committed_tables_stay_small(root: Path) -> None:
    committed = sorted((REPO / "book" / "results" / "reference").glob("*.json"))
    assert sum(p.stat().st_size for p in committed) <= MAX_BYTES == 1_000_000
    for path in committed:
        content = read(path.stem, REPO)
        assert content is not None and content["profile"] == path.stem
    runs = {"01_a": {"words": {f"f{i}": "word " * 200 for i in range(1000)}}}
    before = path_of("smoke", root).read_bytes()
    with pytest.raises(ValueError, match=r"at most 1,000,000 bytes in all, however: smoke has 1,"):
        write("smoke", runs, root)
    assert path_of("smoke", root).read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [(lambda t: t[: len(t) // 2], "is damaged"), (lambda t: t.replace('"format": 1', '"format": 0'), "got 0"),
     (lambda t: "[]", "got 'list'")],
)  # fmt: skip
def test_a_damaged_table_is_refused(
    root: Path, damage: Callable[[str], str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of("smoke", root)
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert main(["reproduce", "--no-run"]) == 1
    assert message in capsys.readouterr().err


def test_the_code_of_the_comparison_is_no_part_of_a_run() -> None:
    assert "reproduction.py" in _NO_EFFECT
    assert (package_folder() / "reproduction.py").is_file()
    key = run_key(REPO / "notebooks" / "01_embedding_space.ipynb", {}, REPO)
    assert key == run_key(REPO / "notebooks" / "01_embedding_space.ipynb", {}, REPO)
    from embreg.keys import _is_without_effect

    assert _is_without_effect(Path("reproducing/rules.py"))


# ------------------------------------------------------------------ the command


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [(["--profile", "ofline"], 2, "unknown profile 'ofline'"), (["09"], 2, "no run is named '09'"),
     (["--write", "--json", "x.json"], 2, "--json must be of a comparison"),
     (["01", "--json", "x.json"], 2, "--json must be of a whole profile, however: got 01"),
     (["--jobs", "0"], 2, "whole number"),
     (["--profile", "paper", "--no-run"], 1, "there is no book/results/reference/paper.json")],
)  # fmt: skip
def test_a_slip_is_one_line(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert main(["reproduce", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


def test_the_record_of_a_machine_names_the_machine_and_no_one(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(root, "02_b", records(unk_rate=0.5))
    assert main(["reproduce", "--no-run", "--json", "out/m.json"]) == 1
    text = (root / "out" / "m.json").read_text(encoding="utf-8")
    made = json.loads(text)
    assert {"profile", "date", "machine", "commit", "versions", "largest", "runs"} <= made.keys()
    assert (made["agreed"], made["of"], made["drawn_agreed"], made["drawn"]) == (20, 22, 1, 2)
    assert made["largest"]["run"] == "02_b" and not made["largest"]["within"] and len(made["beyond"]) == 2
    assert str(root) not in text and str(Path.home()) not in text


NOTEBOOK = """
import os
import pandas as pd
from embreg.records import Run
run = Run("01_a")
run.save(pd.DataFrame({"task": ["a", "b"], "seed": 0, "kendall_tau": [0.1 * n, 0.4]}))
run.fact("gap", 0.3 + float(os.environ["MACHINE"]), 0.2, 0.7)
"""


@pytest.mark.slow
def test_from_nothing_to_a_verdict(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write a reference, lose the result, have it made again by a machine that computes otherwise."""
    monkeypatch.setenv("MACHINE", "0")
    shutil.rmtree(root / "runs")
    (root / "notebooks" / "profiles.yml").write_text("smoke: {01_a: {}}")
    write_notebook(root, "01_a", NOTEBOOK)
    assert main(["reproduce", "--write"]) == 0
    assert capsys.readouterr().out.startswith("book/results/reference/smoke.json: ")
    shutil.rmtree(root / "runs")
    assert main(["reproduce", "--no-run"]) == 1
    monkeypatch.setenv("MACHINE", "0.2")
    assert main(["reproduce"]) == 1
    out = capsys.readouterr().out
    assert "2 of 3" in out and "01_a: fact gap\n  0.3 → 0.5, 0.2, allowed 0.12" in out
    assert main(["reproduce", "--no-run", "--write"]) == 0
    assert main(["reproduce", "--no-run"]) == 0


# ------------------------------------------------------------------ the page

sys.path.insert(0, str(REPO / "book" / "_ext"))
import embreg_reproduced as page  # noqa: E402


def test_the_page_shows_each_machine_and_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "book" / "results"
    assert main(["reproduce", "--no-run", "--json", str(folder / "reproduced" / "a.json")]) == 0
    made = json.loads((make_run(root, "02_b", records(unk_rate=0.5)) / "run.json").read_text())
    seal(root / "runs" / "smoke" / "02_b", {**made, "started": "2026-01-02T00:00:00+00:00"})
    assert main(["reproduce", "--no-run", "--json", str(folder / "reproduced" / "b.json")]) == 1
    head, rows = page.machines(folder / "reproduced")
    assert len(rows) == 2 and all(len(row) == len(head) for row in rows)
    # Nothing was executed since the reference was written; then one run was.
    assert rows[0][3:6] == ["22 of 22", "2 of 2", "0 of 2 runs"] and rows[0][6].startswith("none")
    assert rows[1][3:6] == ["20 of 22", "1 of 2", "1 of 2 runs"] and "02_b, records" in rows[1][6]
    head, rows = page.references(folder / "reference")
    assert rows[0][:4] == ["smoke", "2", "22", "2"] and rows[0][5] == "2026-01-01"
    assert len(rows[0]) == len(head)
    assert page.machines(folder / "none")[1] == []
    assert len(page.rules(folder)[1]) == len(RULES)


def test_the_page_has_no_number_from_the_keyboard() -> None:
    text = (REPO / "book" / "reproduced.md").read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w-])\d", text)  # SHA-256 and float32 are names
    assert {"{reproduced-machines}", "{reproduced-rules}", "{reproduced-reference}"} <= set(
        text.replace("`", " ").split()
    )


def test_smoke_is_compared_by_make_test() -> None:
    lines = (REPO / "Makefile").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("smoke:"))
    recipe = [line for line in lines[start + 1 : start + 6] if line.startswith("\t")]
    parts = ("embreg run", "reproduce", "embreg book")
    order = [next(i for i, line in enumerate(recipe) if part in line) for part in parts]
    assert order == sorted(order) and "--no-run" in recipe[order[1]]

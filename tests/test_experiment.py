"""Comparisons: complete and paired records, no look at test rows, and not a forward pass too many."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from embreg import MLPHead, TabularFeatures, TextEmbedder, _fit
from embreg._features import embed, features_of, traditional
from embreg.engine.core import load_engine
from embreg.experiment import TRADITIONAL, Representation, Suite, compare, fit_and_score
from embreg.metrics import score_all
from embreg.tasks import Split, bbob, bbob_functions, bbob_points, split_rows
from tests.tiny import LAYERS, tiny_bert, tiny_t5

FUNCTIONS = ("Sphere", "Rastrigin")
PAPER, SHIFTED = Suite(functions=FUNCTIONS), Suite(shift=2.0, functions=FUNCTIONS)
SUITES = [PAPER, SHIFTED, Suite("coco", functions=FUNCTIONS)]
MLP = {"hidden": (8,), "learning_rates": (1e-2,), "weight_decays": (0,), "max_epochs": 4}
MLP["precision"] = "float32"
WHERE = ["suite", "task", "dof", "seed"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    base = tmp_path_factory.mktemp("models")
    return str(tiny_t5(base / "t5")), str(tiny_bert(base / "bert", max_position_embeddings=128))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing stored, nothing remembered."""
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path))
    return tmp_path


pytestmark = pytest.mark.usefixtures("one_thread")


def llm(model: str, label: str = "llm", **settings: Any) -> Representation:
    return Representation(label, model=model, **{"dtype": "float32", "decimals": 2, **settings})


@contextmanager
def passes(*models: str, **settings: Any) -> Iterator[list[int]]:
    """Rows of every forward pass of these models, seen where they are computed."""
    rows: list[int] = []

    def watched(hidden: Any) -> Any:
        def call(tokens: Any, mask: Any, layers: Any) -> Any:
            rows.append(len(tokens))
            return hidden(tokens, mask, layers)

        return call

    backends = [TextEmbedder(m, dtype="float32", **settings)._engine().backend for m in models]
    for backend in backends:
        backend.hidden = watched(backend.hidden)
    try:
        yield rows
    finally:
        for backend in backends:
            del backend.hidden


# --- records -----------------------------------------------------------------------------------------


def test_columns_are_those_that_are_documented(models: tuple[str, str]) -> None:
    returns = (compare.__doc__ or "").split("Returns\n")[1].split("Raises\n")[0]
    named = [re.split(r"[,\s]+", part) for part in re.findall(r"``([^`]+)``", returns)]
    documented = [name for names in named for name in names]
    out = compare([llm(models[0]), TRADITIONAL], [PAPER], dofs=[2], seeds=[0], n_samples=30, mlp=MLP)
    assert list(out.columns) == documented


def test_records_are_tidy_and_complete(models: tuple[str, str]) -> None:
    t5, bert = llm(models[0], "a"), llm(models[1], "b", style="values")
    heads = {"φ_trad": ["ridge_squares", "mlp"], "b": ["knn"]}
    out = compare(
        [t5, TRADITIONAL, bert], SUITES, dofs=[2, 3], seeds=range(2), n_samples=30, heads=heads, mlp=MLP
    )
    sides = [("a", "mlp"), ("φ_trad", "ridge_squares"), ("φ_trad", "mlp"), ("b", "knn")]
    assert len(out) == len(sides) * len(SUITES) * len(FUNCTIONS) * 2 * 2
    assert not out.duplicated([*WHERE, "representation", "head"]).any()
    for side in sides:  # any two sides can be paired, row by row
        part = out[(out["representation"] == side[0]) & (out["head"] == side[1])]
        assert sorted(part[WHERE].itertuples(index=False, name=None)) == sorted(
            (s.label, f, d, k) for s in SUITES for f in FUNCTIONS for d in (2, 3) for k in range(2)
        )
    numbers = ["kendall_tau", "pearson", "mse", "mae", "r2", "constant", "width", "fit_seconds", "truncated"]
    assert np.isfinite(out[numbers].to_numpy(dtype=float)).all()
    assert (out["n_samples"] == 30).all() and (out["truncated"] == 0).all()
    assert out["kendall_tau"].between(-1, 1).all()


def test_records_say_what_was_compared(models: tuple[str, str]) -> None:
    rep = llm(models[0], "mine", style="pairs", decimals=3, pooling="max", layer=1, weights="random")
    out = compare([rep, TRADITIONAL], [PAPER], dofs=[3], seeds=[0], n_samples=30, mlp=MLP)
    ours, trad = (out[out["representation"] == name] for name in ("mine", "φ_trad"))
    for name in ("model", "style", "decimals", "pooling", "layer", "stage", "weights", "dtype"):
        assert (ours[name] == getattr(rep, name)).all() and trad[name].isna().all(), name
    texts = rep.strings(bbob_points(3, 30, 0))
    tokens = TextEmbedder(models[0], store=None)._engine().tokenize(texts)
    assert ours["tokens_per_row"].tolist() == [pytest.approx(np.mean([len(t) for t in tokens]))] * 2
    assert (ours["unk_rate"] == 0).all() and ours["width"].tolist() == [16, 16]
    assert trad["tokens_per_row"].isna().all() and trad["width"].tolist() == [3, 3]
    assert out["chosen"].tolist()[0] == str({"learning_rate": 1e-2, "weight_decay": 0.0})


def test_dtype_in_the_records_is_the_one_computed_in(models: tuple[str, str]) -> None:
    rep = llm(models[0], dtype="auto")
    out = compare([rep], [PAPER], dofs=[2], seeds=[0], n_samples=20, heads={"llm": ["ridge_squares"]})
    assert set(out["dtype"]) <= {"float32", "bfloat16"}


def test_scores_are_those_of_a_loop_written_out(models: tuple[str, str]) -> None:
    rep = llm(models[0])
    out = compare([rep, TRADITIONAL], SUITES, dofs=[3], seeds=[4], n_samples=40, mlp=MLP)
    for suite in SUITES:
        for function in FUNCTIONS:
            task = bbob(function, 3, n=40, seed=4, variant=suite.variant, shift=suite.shift)
            train, val, test = task.split(4)
            tabular = TabularFeatures().fit(task.rows.iloc[train])
            for label, X in (("llm", rep.embedder().fit_transform(rep.strings(task.rows))),
                             ("φ_trad", tabular.transform(task.rows))):  # fmt: skip
                head = MLPHead(random_state=4, **MLP)
                head.fit(X[train], task.y[train], X_val=X[val], y_val=task.y[val])
                expected = score_all(task.y[test], head.predict(X[test]))
                found = out[(out["suite"] == suite.label) & (out["task"] == function)]
                [found] = found[found["representation"] == label].to_dict("records")
                for name, value in expected.items():
                    assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-9), name


def test_ridge_on_squares_is_exact_on_sphere() -> None:
    """The control behind the question whether dimension or the head is what hurts φ_trad."""
    size = {"dofs": [5, 25], "seeds": [0, 1], "n_samples": 200}
    sphere = Suite(functions=("Sphere",))
    out = compare([TRADITIONAL], [sphere], **size, heads={"φ_trad": ["ridge_squares"]})
    assert (out["kendall_tau"] > 0.999).all() and (out["r2"] > 0.9999).all()


def test_all_functions_of_a_variant_by_default() -> None:
    names, rows, Y = Suite().targets(2, 20, 0)
    assert names == bbob_functions("paper") and Y.shape == (20, len(names))
    assert Suite("coco").targets(2, 20, 0)[0] == bbob_functions("coco")
    pd.testing.assert_frame_equal(rows, Suite("coco").targets(2, 20, 0)[1])


def test_labels_of_suites() -> None:
    assert [s.label for s in SUITES] == ["paper", "paper, shift 2", "coco"]


# --- no look at the test rows ------------------------------------------------------------------------


def test_traditional_features_are_learned_on_training_rows_only() -> None:
    rows = bbob_points(4, 50, 0)
    train, val, test = split_rows(50, 3)
    before = traditional(rows, train)
    for part in (val, test):
        other = rows.copy()
        other.iloc[part] = 1e6
        np.testing.assert_array_equal(traditional(other, train)[train], before[train])
    np.testing.assert_allclose(before[train].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(before[train].std(0), 1)


@pytest.mark.parametrize("head", ["mlp", "ridge_squares", "knn"])
@pytest.mark.parametrize("features", [False, True])
def test_test_rows_play_no_part_in_a_fit(head: str, features: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other test rows and targets, the same is chosen and predicted for the one row that stayed."""
    monkeypatch.setenv("EMBREG_MEMO", "off")
    rows = bbob_points(3, 60, 0)
    y = (rows.to_numpy() ** 2).sum(1, keepdims=True)
    test = split_rows(60, 0).test
    predicted, chosen = [], []

    def listen(true: np.ndarray, guess: np.ndarray) -> dict[str, float]:
        predicted.append(guess[0])
        return score_all(true, guess)

    monkeypatch.setattr("embreg.metrics.score_all", listen)
    for change in (1.0, 50.0):
        other, target = rows.copy(), y.copy()
        other.iloc[test[1:]] *= change
        target[test[1:]] *= change
        X = other.to_numpy(dtype=np.float32) if features else None
        [found] = fit_and_score(X, other, target, head=head, seed=0, mlp=MLP)
        chosen.append(found["chosen"])
    # Of each fit the test rows are scored first, then the validation rows.
    assert chosen[0] == chosen[1] and predicted[0] == pytest.approx(predicted[2], rel=1e-6)


def test_split_head_and_points_depend_on_the_seed(models: tuple[str, str]) -> None:
    out = compare([TRADITIONAL], [PAPER], dofs=[3], seeds=[0, 1], n_samples=40, mlp=MLP)
    again = compare([TRADITIONAL], [PAPER], dofs=[3], seeds=[1], n_samples=40, mlp=MLP)
    columns = [*WHERE, "kendall_tau", "mse"]
    pd.testing.assert_frame_equal(
        out[out["seed"] == 1][columns].reset_index(drop=True), again[columns].reset_index(drop=True)
    )
    assert out[out["seed"] == 0]["mse"].tolist() != again["mse"].tolist()


def test_scores_on_validation_rows_are_of_the_rows_that_chose() -> None:
    rows = bbob_points(3, 60, 0)
    Y = (rows.to_numpy() ** 2).sum(1, keepdims=True)
    train, val, test = parts = split_rows(60, 0)
    X = traditional(rows, train)
    [found] = fit_and_score(None, rows, Y, head="mlp", seed=0, mlp=MLP, parts=parts)
    head = MLPHead(random_state=0, **MLP).fit(X[train], Y[train], X_val=X[val], y_val=Y[val])
    for name, value in score_all(Y[val, 0], head.predict(X[val])[:, 0]).items():
        assert found[f"val_{name}"] == pytest.approx(value), name
    for name, value in score_all(Y[test, 0], head.predict(X[test])[:, 0]).items():
        assert found[name] == pytest.approx(value), name


def test_one_validation_row_has_no_score() -> None:
    rows = bbob_points(2, 20, 0)
    parts = Split(np.arange(10), np.arange(10, 11), np.arange(11, 20))
    [found] = fit_and_score(None, rows, rows.to_numpy()[:, :1], head="knn", parts=parts)
    assert found["val_kendall_tau"] is None and found["kendall_tau"] > 0


def test_test_rows_of_their_own_are_the_same_for_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer samples are part of more, and no test row is ever trained on."""
    seen: list[tuple[pd.DataFrame, Split]] = []
    fit = fit_and_score

    def listen(features: Any, rows: pd.DataFrame, Y: Any, **settings: Any) -> Any:
        seen.append((rows, settings["parts"]))
        return fit(features, rows, Y, **settings)

    monkeypatch.setattr("embreg.experiment.fit_and_score", listen)
    for n in (18, 45, 90):
        heads = {"φ_trad": ["ridge_squares"]}
        out = compare([TRADITIONAL], [PAPER], dofs=[2], seeds=[0], n_samples=n, n_test=40, heads=heads)
        assert (out["n_samples"] == n).all()
    used: list[set[tuple[float, ...]]] = []
    for (rows, parts), n in zip(seen, (18, 45, 90), strict=True):
        train, val, test = ({tuple(r) for r in rows.to_numpy()[part]} for part in parts)
        assert (len(train), len(val), len(test)) == (n - n // 9, n // 9, 40)
        assert not (train | val) & test and not train & val
        used.append(train)
        np.testing.assert_array_equal(rows.to_numpy()[parts.test], seen[0][0].to_numpy()[seen[0][1].test])
    assert used[0] < used[1] < used[2]


# --- controls ----------------------------------------------------------------------------------------


def test_controls_run_beside_what_they_control(models: tuple[str, str]) -> None:
    base = llm(models[0])
    reps = [
        base,
        TRADITIONAL,
        replace(base, label="both", control="concat"),
        replace(base, label="components", control="pca", width=4),
        replace(base, label="digits", control="permuted_digits"),
        replace(base, label="order", control="shuffled_coordinates"),
        replace(base, label="rows", control="shuffled_rows"),
        Representation("bag", control="bag", width=32),
        Representation("φ_trad, order", control="shuffled_coordinates"),
    ]
    heads = {r.label: ["ridge_squares"] for r in reps}
    with passes(models[0]) as rows:
        out = compare(reps, [PAPER], dofs=[3], seeds=[0], n_samples=60, heads=heads)
    # As they are; other digits; another order, but for rows whose numbers kept their places by chance.
    assert rows[:2] == [60, 60] and 40 < rows[2] < 60 and len(rows) == 3
    width = out.drop_duplicates("representation").set_index("representation").width
    assert width["both"] == width["φ_trad"] + width["llm"] and width["components"] == 4 and width["bag"] == 32
    control = out.drop_duplicates("representation").set_index("representation").control
    assert control["φ_trad"] == "" and control["both"] == "concat" and control["bag"] == "bag"
    assert not out.control.isna().any()


def test_concatenation_is_both_side_by_side(models: tuple[str, str]) -> None:
    rows, train = bbob_points(2, 20, 0), np.arange(15)
    both = llm(models[0], control="concat")
    vectors, _ = embed([both], rows)[both]
    expected = np.hstack([traditional(rows, train), vectors])
    np.testing.assert_array_equal(features_of(both, vectors, rows, train), expected)


def test_shuffled_coordinates_are_read_by_the_model(models: tuple[str, str]) -> None:
    from embreg.controls import control_rows

    rows, rep = bbob_points(4, 20, 0), llm(models[0], control="shuffled_coordinates")
    vectors, _ = embed([rep], rows, 3)[rep]
    mixed = control_rows("shuffled_coordinates", rows, random_state=3)
    np.testing.assert_array_equal(vectors, rep.embedder().fit_transform(llm(models[0]).strings(mixed)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"control": "bags"}, r"control must be one of \('concat', .*'bag'.*\), however: got 'bags'"),
        ({"control": "concat"}, "'concat' needs a language model, however: 'r' has none"),
        ({"control": "permuted_digits"}, "'permuted_digits' needs a language model"),
        ({"control": "bag", "model": "m"}, "'bag' is made of φ_trad, however: 'r' has model 'm'"),
        ({"width": 3}, "width is for controls that have one, however: 'r' has width 3 and no control"),
        ({"control": "shuffled_rows", "width": 3}, "width is for controls that have one"),
    ],
)
def test_controls_that_make_no_sense_are_errors(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Representation("r", **settings)


# --- forward passes ----------------------------------------------------------------------------------


def test_one_pass_serves_all_suites_and_heads(models: tuple[str, str]) -> None:
    heads = {"llm": ["mlp", "ridge_squares", "knn"]}
    with passes(models[0]) as rows:
        compare([llm(models[0])], SUITES, dofs=[2, 3], seeds=[0], n_samples=30, heads=heads, mlp=MLP)
    assert rows == [30, 30], "one pass for each dof"


def test_representations_that_differ_in_pooling_and_layer_share_a_pass(models: tuple[str, str]) -> None:
    """A study of 7 poolings, or of depth, costs one pass."""
    from embreg.pooling import POOLINGS

    base = llm(models[0])
    study = [replace(base, label=p, pooling=p) for p in POOLINGS]
    study += [replace(base, label=f"layer {k}", layer=k) for k in range(LAYERS + 1)]
    heads = {r.label: ["ridge_squares"] for r in study}
    with passes(models[0]) as rows:
        together = compare(study, [PAPER], dofs=[3], seeds=[0, 1], n_samples=30, heads=heads)
    assert rows == [30, 30], "one pass for each seed"
    for rep in study:
        heads = {rep.label: ["ridge_squares"]}
        alone = compare([rep], [PAPER], dofs=[3], seeds=[0, 1], n_samples=30, heads=heads)
        part = together[together["representation"] == rep.label].reset_index(drop=True)
        times = ["fit_seconds", "embed_seconds"]
        pd.testing.assert_frame_equal(part.drop(columns=times), alone.drop(columns=times))


@pytest.mark.parametrize(
    "change",
    [
        {"style": "values"},
        {"decimals": 3},
        {"stage": "vocab"},
        {"weights": "random"},
        {"dtype": "bfloat16"},
    ],
)
def test_representations_that_differ_in_more_do_not(models: tuple[str, str], change: dict[str, Any]) -> None:
    base, rows = llm(models[0]), bbob_points(2, 20, 0)
    other = replace(base, label="other", **change)
    together = embed([base, other, replace(base, label="max", pooling="max")], rows)
    for rep, (vectors, about) in together.items():
        expected = rep.embedder()
        np.testing.assert_array_equal(vectors, expected.fit_transform(rep.strings(rows)))
        assert about["tokens_per_row"] == expected.report_.tokens_per_row.mean()
    assert not np.array_equal(together[base][0], together[other][0])


def test_two_models_and_phi_trad_beside_each_other(models: tuple[str, str]) -> None:
    reps = [llm(models[0], "a"), TRADITIONAL, llm(models[1], "b"), llm(models[0], "c", pooling="max")]
    with passes(*models) as rows:
        together = embed(reps, bbob_points(2, 20, 0))
    assert rows == [20, 20] and set(together) == set(reps) and together[TRADITIONAL][0] is None


def test_a_second_comparison_embeds_and_fits_nothing(models: tuple[str, str]) -> None:
    """Records of a second call are equal, down to the seconds that the fit took the first time."""

    def run() -> pd.DataFrame:
        reps = [llm(models[0]), TRADITIONAL]
        out = compare(reps, SUITES, dofs=[2], seeds=[0], n_samples=30, mlp=MLP)
        return out.drop(columns="embed_seconds")  # of this call

    first = run()
    with passes(models[0]) as rows:
        pd.testing.assert_frame_equal(run(), first)
    assert rows == []


def test_memo_knows_every_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Change anything, and the fit is done again."""
    rows = bbob_points(2, 40, 0)
    X, Y = rows.to_numpy(dtype=np.float32), (rows.to_numpy() ** 2).sum(1, keepdims=True)
    done: list[str] = []
    fit = _fit.__dict__["_fit"]
    monkeypatch.setattr(_fit, "_fit", lambda *args: (done.append(args[3]), fit(*args))[1])
    base: dict[str, Any] = {"features": X, "rows": rows, "Y": Y, "head": "mlp", "seed": 0, "mlp": MLP}
    changes: list[dict[str, Any]] = [
        {}, {"features": X + 1}, {"features": None}, {"Y": Y * 2}, {"head": "knn"}, {"seed": 1},
        {"mlp": {**MLP, "max_epochs": 5}}, {"mlp": {**MLP, "precision": "bfloat16"}},
        {"parts": Split(np.arange(20), np.arange(20, 30), np.arange(30, 40))},
    ]  # fmt: skip
    for k, change in enumerate(changes):
        one, two = fit_and_score(**{**base, **change}), fit_and_score(**{**base, **change})
        assert one == two and len(done) == k + 1, change


# --- Representation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m", ("m", "json", 4)),
        ("m:values", ("m", "values", 4)),
        ("m:pairs:0", ("m", "pairs", 0)),
        ("org/name:json:12", ("org/name", "json", 12)),
        ("service:gemini/gemini-embedding-001", ("service:gemini/gemini-embedding-001", "json", 4)),
        ("service:ollama/nomic:latest:values:2", ("service:ollama/nomic:latest", "values", 2)),
        ("service:http://127.0.0.1:8000/v1#m:pairs", ("service:http://127.0.0.1:8000/v1#m", "pairs", 4)),
    ],
)
def test_representation_of_text(text: str, expected: tuple[str, str, int]) -> None:
    rep = Representation.of(text)
    assert (rep.model, rep.style, rep.decimals) == expected and rep.label == rep.model
    assert Representation.of(text, label="mine", pooling="max").label == "mine"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":values",
        "m:",
        "m:yaml",
        "m:values:x",
        "m:values:-1",
        "m:values:²",
        "m:json:2:3",
        "m:json:e",
        "m:json:2s",
    ],
)
def test_representation_of_nonsense_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"is written model\[:style\[:numbers\]\] .* however: got") as caught:
        Representation.of(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [("2", "[1.25,1]"), ("1e", "[1.2e+00,1]"), ("2d", "[1 . 2 5,1]"), ("s", "[1.25,1]")],
)
def test_numbers_of_a_representation(numbers: str, expected: str) -> None:
    assert Representation.of(f"m:values:{numbers}").strings([[1.25, 1]]) == [expected]


def test_representation_leaves_out_and_numbers_names() -> None:
    rows = pd.DataFrame({"act": ["relu"], "depth": pd.array([None], dtype="Int64"), "lr": [1e-5]})
    rep = Representation.of("m:json:s", missing="omit", names="numbered")
    assert rep.strings(rows) == ["{x0:relu,x2:1e-05}"]
    with pytest.raises(ValueError, match="writes names, decimals and null, however"):
        Representation.of("m:json:2e", control="permuted_digits")


def test_representation_makes_strings_and_an_embedder(models: tuple[str, str]) -> None:
    settings = {"pooling": "max", "layer": 2, "stage": "vocab", "weights": "random", "dtype": "float32"}
    rep = Representation.of(f"{models[0]}:values:1", **settings)
    assert rep.strings([[1.25, -3.0]]) == ["[1.2,-3.0]"]
    made = rep.embedder().get_params()
    assert made["model"] == models[0] and settings == {k: made[k] for k in settings}
    with pytest.raises(ValueError, match="φ_trad has no language model"):
        TRADITIONAL.embedder()


# --- errors, before any work -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": {"llm": ["forest"]}}, r"head must be one of \('mlp', .*'knn'.*\), however: got 'forest'"),
        (
            {"heads": {"phi_trad": ["mlp"]}},
            r"heads must be for one of \['llm'\], however: got \['phi_trad'\]",
        ),
        ({"heads": {"llm": []}}, r"heads of 'llm' must be a list of at least one name, however: got \[\]"),
        ({"heads": {"llm": "mlp"}}, "heads of 'llm' must be a list of at least one name, however: got 'mlp'"),
        ({"suites": []}, "suites must hold at least one"),
        ({"dofs": []}, "dofs must hold at least one"),
        ({"seeds": range(0)}, "seeds must hold at least one"),
        ({"representations": []}, "representations must hold at least one"),
    ],
)
def test_wrong_arguments_are_errors_before_anything_runs(
    models: tuple[str, str], change: dict[str, Any], message: str
) -> None:
    base: dict[str, Any] = {
        "representations": [llm(models[0])], "suites": SUITES, "dofs": [2], "seeds": [0], "n_samples": 20,
    }  # fmt: skip
    load_engine.cache_clear()
    with pytest.raises(ValueError, match=message):
        compare(**{**base, **change})
    assert load_engine.cache_info().misses == 0


def test_two_representations_of_one_label_are_an_error(models: tuple[str, str]) -> None:
    """Records could not tell them apart."""
    two = [llm(models[0]), llm(models[0], style="values")]
    with pytest.raises(ValueError, match=r"a label of its own, however: \['llm'\] are used twice"):
        compare(two, SUITES, dofs=[2], seeds=[0])


def test_unknown_parameter_of_the_head_is_an_error_before_anything_runs(models: tuple[str, str]) -> None:
    load_engine.cache_clear()
    with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
        compare([llm(models[0])], SUITES, dofs=[2], seeds=[0], mlp={"epochs": 3})
    assert load_engine.cache_info().misses == 0


def test_fit_and_score_refuses_what_does_not_fit_together() -> None:
    rows = bbob_points(2, 20, 0)
    Y = rows.to_numpy()[:, :1]
    with pytest.raises(ValueError, match="head must be one of"):
        fit_and_score(None, rows, Y, head="tree")
    with pytest.raises(ValueError, match=r"must be equally long, however: \(20, 19, 19\)"):
        fit_and_score(None, rows, Y[:-1])
    with pytest.raises(ValueError, match=r"must be equally long, however: \(20, 20, 19\)"):
        fit_and_score(Y[:-1], rows, Y)
    with pytest.raises(ValueError, match="at least 10 rows"):
        fit_and_score(None, rows[:5], Y[:5])


def test_a_row_that_is_too_long_stops_the_comparison(models: tuple[str, str]) -> None:
    """Nothing is cut silently on the way to a figure."""
    with pytest.raises(ValueError, match=r"row 0 has .* tokens, however: .* reads at most 128"):
        compare([llm(models[1])], [PAPER], dofs=[25], seeds=[0], n_samples=20, mlp=MLP)

"""The report of an advice: figures that state a finding, one file without requests, text that stays text."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embreg.advice import Advice, advise
from embreg.advising import figures, report, tables
from embreg.advising.opening import advice_on, open_data
from embreg.advising.report import ReportError, check_place, notebook_file, write_report
from embreg.browsing import check_in_browser
from embreg.browsing.chromium import missing
from tests.test_figures import IMAGE, says_more_than_axes

BAD = "<img src=x onerror=alert(1)>"
COLUMN, TARGET, FILE = f"面積 $x^{{2}}$ {BAD}", r"<b>y</b> $\frac", "<script>alert(2)<.csv"
WORDS = ["bread", "butter", "cheese", "soup", "oven", "violin", "piano", "guitar", "choir", "opera", "planet",
         "comet", "orbit", "rocket", "lunar"]  # fmt: skip


def table_of(n: int = 90) -> pd.DataFrame:
    """Numbers, words and free text; a column name, every cell of a column and the target look like markup."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    word = rng.integers(len(WORDS), size=n)
    note = [f"{BAD} row {i} about {WORDS[w]} and {WORDS[(w + 3) % 15]}" for i, w in enumerate(word)]
    y = x + word % 3 + rng.normal(size=n) / 3
    return pd.DataFrame({COLUMN: x, "note": note, "kind": [f"<i>{w % 3}</i>" for w in word], TARGET: y})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / FILE
    table_of().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def advice(file: Path) -> Advice:
    return advise(file, TARGET, heads=["ridge"], budget="5m")


@pytest.fixture(scope="module")
def out(advice: Advice, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(advice, tmp_path_factory.mktemp("reports") / "out").parent


# --- figures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(figures._FIGURES))
def test_each_figure_states_a_finding_and_draws_what_users_write(
    advice: Advice, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embreg.records import Run

    monkeypatch.setenv("EMBREG_RUN_DIR", str(tmp_path))
    shown = figures.show(Run("00_test"), advice, name).data
    [(alt, image)] = IMAGE.findall(shown)
    assert says_more_than_axes(html.unescape(alt), base64.b64decode(image).decode())
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {f"{name}.svg", f"{name}.png"}


def test_candidates_with_a_language_model_differ_by_more_than_color(advice: Advice) -> None:
    import matplotlib.pyplot as plt

    figure, _ = figures.scoreboard(advice)
    marks = {bar.get_label(): bar[0] for bar in figure.axes[0].containers}
    places = {name: sorted(mark.get_xdata()) for name, mark in marks.items()}
    board = advice.scoreboard.sort_values("kendall_tau")
    for name, llm in (("with one", True), ("without a language model", False)):
        assert places[name] == board.loc[board["uses_llm"] == llm, "kendall_tau"].tolist()
    assert len({mark.get_marker() for mark in marks.values()}) == 2
    assert len({mark.get_color() for mark in marks.values()}) == 2
    # The best on top: names from top to bottom are those of the scoreboard.
    names = [t for t in figure.axes[0].texts if t.get_text() in set(board["candidate"])]
    names.sort(key=lambda t: t.get_position()[1])
    assert [t.get_text() for t in names] == advice.scoreboard["candidate"].tolist()
    assert [t.get_text() for t in names if t.get_weight() == "bold"] == [advice.best]
    plt.close(figure)


def test_many_candidates_are_not_all_drawn_and_it_is_said(advice: Advice) -> None:
    import matplotlib.pyplot as plt

    board = advice.scoreboard
    more = [board.assign(candidate=board["candidate"] + f" {k}") for k in range(3)]
    board = pd.concat([board, *more], ignore_index=True)
    many = dataclasses.replace(advice, scoreboard=board)
    figure, text = figures.scoreboard(many)
    assert f"The {len(board) - 14} not drawn are in the table" in text
    plt.close(figure)


def test_what_was_not_computed_is_said(
    advice: Advice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embreg.records import Run

    monkeypatch.setenv("EMBREG_RUN_DIR", str(tmp_path))
    none = dataclasses.replace(advice, curve=advice.curve.iloc[:0])
    assert "Not computed" in figures.show(Run("00_test"), none, "learning_curve").data


# --- tables -----------------------------------------------------------------------------------------------


def test_the_worst_rows_are_those_of_the_table(advice: Advice) -> None:
    table = table_of()
    worst = tables.worst_rows(advice, table, n=5)
    errors = {r.row: abs(r.predicted - r.y) for r in advice.predictions.itertuples()}
    assert worst["row"].tolist() == sorted(errors, key=lambda row: -errors[row])[:5]
    for i, row in enumerate(worst["row"]):
        assert worst["true"][i] == f"{table[TARGET][row]:.4g}"
        note = table["note"][row]
        assert worst["note"][i] == (note if len(note) <= 60 else note[:59] + "…")
    assert list(tables.worst_rows(advice)) == ["row", "true", "predicted", "interval"]


def test_cells_and_names_stay_text(advice: Advice) -> None:
    columns = tables.shown(tables.columns_table(advice))
    worst = tables.shown(tables.worst_rows(advice, table_of()))
    for shown in (columns, worst, tables.data_sentence(advice), tables.findings_list(advice)):
        assert BAD not in shown.data and "<b>y" not in shown.data and "<script" not in shown.data
    assert html.escape(BAD) in columns.data and html.escape(BAD) in worst.data


@pytest.mark.parametrize("verdict", ["yes", "no", "undecided", "nothing"])
def test_the_headline_has_no_time_in_it(advice: Advice, verdict: str) -> None:
    text = tables.headline(dataclasses.replace(advice, verdict=verdict))
    assert not re.search(r"\d (ms|s|min)\b", text)
    assert (verdict if verdict != "nothing" else "nothing to predict") in text


# --- opening ----------------------------------------------------------------------------------------------


def test_a_saved_advice_is_read_and_nothing_is_computed(
    advice: Advice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice.save(tmp_path / "kept")
    monkeypatch.setattr("embreg.advice.advise", None)
    loaded, table = advice_on("", saved=str(tmp_path / "kept"))
    assert loaded.answer == advice.answer and table is None


def test_tables_by_name_and_by_file(file: Path) -> None:
    table, target, name = open_data("hpo_tables/hpobench_car", n_samples=50, random_state=1)
    again, _, _ = open_data("hpo_tables/hpobench_car")
    assert len(table) == 50 and name == "hpobench_car" and target in table
    assert len(table.merge(again)) == 50
    with pytest.raises(ValueError, match="target must be the column to predict"):
        open_data(str(file))
    with pytest.raises(ValueError, match="however: got 'tea'"):
        open_data("tea")


# --- the report -------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags with their attributes, ids, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(out: Path) -> Page:
    return Page((out / "report.html").read_text(encoding="utf-8"))


def test_the_page_asks_for_nothing_and_runs_nothing(page: Page) -> None:
    assert not {"script", "iframe", "object", "embed", "form"} & {tag for tag, _ in page.tags}
    for tag, given in page.tags:
        assert not [name for name in given if name.startswith("on")], tag
        for address in (given.get("src"), given.get("href")):
            assert address is None or address.startswith(("#", "data:")), address
    policy = next(given for _, given in page.tags if given.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy["content"])
    assert "url(" not in page.text and "@import" not in page.text  # the style sheet is text here


def test_what_users_write_is_shown_and_is_no_markup(page: Page, advice: Advice) -> None:
    assert not [given for tag, given in page.tags if tag == "img" and given.get("src") == "x"]
    assert BAD in page.text and FILE in page.text and TARGET in page.text
    assert any(f"about {word}" in page.text for word in WORDS)  # cells of the worst rows


def test_the_page_says_first_what_was_found(page: Page, advice: Advice) -> None:
    first = page.text[page.text.index("To the findings") :][:1500]
    assert advice.best in first and f"{advice.difference}" in first and f"{advice.n_rows} rows" in first
    assert "What this file holds of your data" in page.text and "Nothing of it was sent anywhere" in page.text


def test_every_section_is_in_the_contents(page: Page) -> None:
    ids = [given["id"] for tag, given in page.tags if tag == "h2"]
    links = [
        str(given["href"])[1:] for tag, given in page.tags if tag == "a" and given.get("class") != "skip"
    ]
    assert links == ids and len(set(ids)) == len(ids) >= 9
    assert sum(tag == "img" for tag, _ in page.tags) == 6
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
    assert (
        "embreg.advice.fit(" in page.text and "figures.show" not in page.text
    )  # of code only that which refits


def test_rows_that_are_not_shown_are_not_in_the_page(page: Page, advice: Advice) -> None:
    in_page = {int(number) for number in re.findall(r"row (\d+) ", page.text)}
    worst = set(tables.worst_rows(advice)["row"])
    assert worst <= in_page and len(in_page - worst) <= 1  # and one that is an example of its column


def test_beside_the_page_lie_advice_cells_and_scoreboard(out: Path, advice: Advice) -> None:
    assert {p.name for p in out.iterdir()} == {"advice", "report.html", "report.ipynb", "scoreboard.csv"}
    pd.testing.assert_frame_equal(pd.read_csv(out / "scoreboard.csv"), advice.scoreboard, check_dtype=False)
    assert Advice.load(out / "advice").answer == advice.answer
    cells = json.loads((out / "report.ipynb").read_text(encoding="utf-8"))["cells"]
    [given] = [c for c in cells if c["id"] == "injected-parameters"]
    assert "saved = 'advice'" in "".join(given["source"]) and str(out) not in "".join(given["source"])


@pytest.mark.slow
def test_a_report_is_replaced_and_other_files_stay(advice: Advice, out: Path, tmp_path: Path) -> None:
    place = tmp_path / "again"
    shutil.copytree(out, place)
    (place / "mine.txt").write_text("mine")
    shown = write_report(dataclasses.replace(advice, source="other name"), place, table=table_of())
    assert "<h1>other name</h1>" in shown.read_text(encoding="utf-8")
    assert (place / "mine.txt").read_text() == "mine"


def test_a_place_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    check_place(tmp_path / "new")
    check_place(tmp_path)
    (tmp_path / "report.html").write_text("<p>somebody's own</p>")
    with pytest.raises(FileExistsError, match=r"holds report\.html"):
        check_place(tmp_path)
    (tmp_path / "report.html").unlink()
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(FileExistsError, match=r"holds letters\.txt.*name another folder"):
        check_place(tmp_path)
    check_place(tmp_path, overwrite=True)
    with pytest.raises(FileExistsError, match="is a file"):
        check_place(tmp_path / "letters.txt")


@pytest.mark.slow
def test_an_error_of_the_notebook_names_its_cell(
    advice: Advice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = json.loads(notebook_file().read_text(encoding="utf-8"))
    [cell] = [c for c in broken["cells"] if c["id"] == "worst"]
    cell["source"] = ["tables.no_such_table(advice)"]
    copy = tmp_path / notebook_file().name
    copy.write_text(json.dumps(broken), encoding="utf-8")
    monkeypatch.setattr(report, "notebook_file", lambda: copy)
    with pytest.raises(ReportError, match=r"cell 'worst' \(tables\.no_such_table.*AttributeError") as raised:
        write_report(advice, tmp_path / "out")
    assert "advice itself is in" in str(raised.value)
    assert Advice.load(tmp_path / "out/advice").answer == advice.answer
    assert "no_such_table" in (tmp_path / "out/report.ipynb").read_text(encoding="utf-8")
    assert not (tmp_path / "out/report.html").exists()
    check_place(tmp_path / "out")  # and may be tried again


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=f"pages cannot be opened here: {missing()}")
def test_the_page_has_no_fault_in_a_browser(out: Path, tmp_path: Path) -> None:
    shutil.copy(out / "report.html", tmp_path / "index.html")
    seen = check_in_browser(tmp_path, tmp_path / "faults")
    assert not seen.skipped and seen.faults == []

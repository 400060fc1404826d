"""The training family: its optimisers, nets and loop against torch's own, its data, its repeats."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embreg.making._descent import OPTIMIZERS, SCHEDULES, Descent, rate
from embreg.making._nets import ACTIVATIONS, INITIALIZERS, NORMALIZATIONS, Net, one_thread, train
from embreg.making._training_tasks import DEFAULTS, SETTINGS, load
from embreg.making.family import Infeasible, MissingTool, get_family
from embreg.making.training import FAMILY, Training, _judge

torch = pytest.importorskip("torch")

FOUR = ["learning_rate", "one_minus_momentum", "lr_decay_power", "lr_decay_steps_factor"]
RULE = {"one_minus_momentum": 0.1, "one_minus_beta2": 0.03, "epsilon": 1e-3, "weight_decay": 0.05}
STEADY = {"learning_rate": 0.02, "lr_schedule": "constant", **RULE}
pytestmark = pytest.mark.usefixtures("one_thread")


def theirs(kind: str, parameters: Any, lr: float) -> Any:
    """The same optimiser as torch has it."""
    betas, eps, decay = (0.9, 0.97), 1e-3, 0.05
    return {
        "sgd": lambda: torch.optim.SGD(parameters, lr, weight_decay=decay),
        "momentum": lambda: torch.optim.SGD(parameters, lr, momentum=0.9, weight_decay=decay),
        "nesterov": lambda: torch.optim.SGD(parameters, lr, momentum=0.9, weight_decay=decay, nesterov=True),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, lr, alpha=0.97, eps=eps, weight_decay=decay),
        "adagrad": lambda: torch.optim.Adagrad(parameters, lr, eps=eps, weight_decay=decay),
        "adam": lambda: torch.optim.Adam(parameters, lr, betas=betas, eps=eps, weight_decay=decay),
        "adamw": lambda: torch.optim.AdamW(parameters, lr, betas=betas, eps=eps, weight_decay=decay),
    }[kind]()


# Optimisers and schedules


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimiser_moves_as_torchs_does(kind: str) -> None:
    rng = np.random.default_rng(0)
    start = torch.from_numpy(rng.standard_normal(7))
    ours, own = start.clone(), start.clone().requires_grad_()
    descent, other = Descent(ours, {"optimizer": kind, **RULE}), theirs(kind, [own], 0.1)
    for step in range(30):
        gradient = torch.from_numpy(rng.standard_normal(7))
        other.param_groups[0]["lr"] = 0.1 / (1 + step)
        own.grad = gradient.clone()
        other.step()
        descent.step(gradient.clone(), 0.1 / (1 + step))
    assert not torch.equal(ours, start)
    torch.testing.assert_close(ours, own.detach(), rtol=1e-10, atol=1e-12)


def schedule(name: str, **more: float) -> dict[str, Any]:
    row = {"lr_decay_power": 2.0, "lr_decay_steps_factor": 0.5, "lr_end_factor": 0.1, "warmup_fraction": 0.0}
    return {"learning_rate": 1.0, "lr_schedule": name, **row, **more}


@pytest.mark.parametrize(
    ("name", "quarter"),
    [("constant", 1.0), ("linear", 0.55), ("cosine", 0.55), ("polynomial", 0.325), ("exponential", 0.1**0.5)],
)
def test_a_schedule_goes_from_the_rate_to_its_end(name: str, quarter: float) -> None:
    rates = [rate(step, 8, schedule(name)) for step in range(8)]
    assert rates[0] == 1.0
    assert rates[2] == pytest.approx(quarter)  # half-way down, as half of all steps decay
    assert rates[4:] == pytest.approx([1.0 if name == "constant" else 0.1] * 4)


@given(
    st.sampled_from(SCHEDULES),
    st.integers(1, 40),
    st.floats(0.0, 0.3),
    st.floats(0.1, 1.0),
    st.floats(1e-3, 1.0),
    st.floats(0.1, 3.0),
)
def test_a_rate_rises_while_warming_up_and_never_after(
    name: str, steps: int, warm: float, factor: float, end: float, power: float
) -> None:
    row = schedule(
        name, warmup_fraction=warm, lr_decay_steps_factor=factor, lr_end_factor=end, lr_decay_power=power
    )
    cold = [rate(step, steps, row | {"warmup_fraction": 0.0}) for step in range(steps)]
    rates = [rate(step, steps, row) for step in range(steps)]
    assert all(0 < a <= 1 for a in rates)
    assert all(b <= a * (1 + 1e-12) for a, b in pairwise(cold))
    warming = math.ceil(warm * steps)
    assert rates[warming:] == cold[warming:]
    shares = [a / b for a, b in zip(rates[:warming], cold, strict=False)]
    assert all(a < b for a, b in pairwise(shares)) and all(a <= 1 for a in shares)


def test_names_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"optimizer must be one of .* got 'lion'"):
        Descent(torch.ones(1), {"optimizer": "lion", **RULE})
    with pytest.raises(ValueError, match=r"lr_schedule must be one of .* got 'step'"):
        rate(0, 9, schedule("step"))


# Nets


def settings(**more: Any) -> dict[str, Any]:
    return DEFAULTS | {"weight_decay": 0.0} | more


class Twin(torch.nn.Module):
    """The same net out of torch's own layers, with the weights of ours."""

    def __init__(self, net: Net, row: dict[str, Any]) -> None:
        super().__init__()
        self.row, self.image = row, net.image
        self.layers, self.norms = torch.nn.ModuleList(), torch.nn.ModuleList()
        weights = [p.detach().clone() for p in net.parameters]
        for _ in range(row["num_layers"]):
            weight, bias = weights.pop(0), weights.pop(0)
            plain = row["normalization"] == "none"
            if self.image:
                out, into, kernel, _ = weight.shape
                layer = torch.nn.Conv2d(into, out, kernel, padding=kernel // 2, bias=plain)
            else:
                layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=plain)
            layer.weight.data = weight
            self.layers.append(layer)
            if plain:
                layer.bias.data = bias
                continue
            if row["normalization"] == "layer":
                norm = torch.nn.GroupNorm(1, len(bias))
            elif self.image:
                norm = torch.nn.BatchNorm2d(len(bias))
            else:
                norm = torch.nn.BatchNorm1d(len(bias))
            norm.weight.data, norm.bias.data = weights.pop(0) + 1, bias
            self.norms.append(norm)
        self.last = torch.nn.Linear(weights[0].shape[1], weights[0].shape[0])
        self.last.weight.data, self.last.bias.data = weights
        self.shrink = torch.nn.MaxPool2d(2) if row["pooling"] == "max" else torch.nn.AvgPool2d(2)
        self.double()  # the running means of batch norm too
        names = {"relu": "ReLU", "gelu": "GELU", "tanh": "Tanh", "silu": "SiLU", "elu": "ELU"}
        self.activation = getattr(torch.nn, names[row["activation"]])()

    def forward(self, x: Any) -> Any:
        for number, layer in enumerate(self.layers):
            z = layer(x)
            z = self.activation(self.norms[number](z) if self.norms else z)
            if self.image:
                z = self.shrink(z)
            elif self.row["residual"] and number > 0:
                z = z + x
            x = z
        return self.last(x.flatten(1))


SHAPES = [
    {"num_layers": 1, "normalization": "layer"},
    {"num_layers": 3, "residual": True, "normalization": "batch", "activation": "tanh"},
    {"num_layers": 3, "residual": True, "normalization": "layer", "activation": "gelu"},
    {"num_layers": 2, "normalization": "none", "activation": "silu"},
    {"image": True, "kernel_size": 2, "pooling": "average", "normalization": "batch", "activation": "elu"},
    {"image": True, "kernel_size": 3, "normalization": "layer"},
    {"image": True, "kernel_size": 4, "normalization": "none", "num_layers": 1},
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
def test_a_net_computes_what_torchs_layers_do(shape: dict[str, Any]) -> None:
    row = settings(**shape)
    data = load("digits", 1200, image=row.pop("image", False))
    net = Net(data, row, np.random.default_rng(0))
    torch.testing.assert_close(net(data.x[:20]), Twin(net, row)(data.x[:20]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("source", ["wine", "diabetes"])
def test_a_few_epochs_are_those_of_a_plain_loop(kind: str, source: str) -> None:
    data = load(source, 100)
    row = settings(
        **STEADY, optimizer=kind, batch_size=30, epochs=2, label_smoothing=0.1, grad_clip=0.5, num_layers=1
    )
    twin = Twin(Net(data, row, np.random.default_rng(3)), row)
    optimiser, rng = theirs(kind, twin.parameters(), 0.02), np.random.default_rng(3)
    Net(data, row, rng)  # takes the initial weights from the stream
    for _ in range(2):
        order = rng.permutation(100)
        for first in (0, 30, 60):  # what does not fill a batch is left out
            batch = order[first : first + 30]
            optimiser.zero_grad()
            out, y = twin(data.x[batch]), data.y[batch]
            if source == "wine":
                loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)(out, y)
            else:
                loss = ((out - y) ** 2).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
            optimiser.step()
    with torch.no_grad():
        expected = twin(data.x_val).double()
    found = train(data, row, np.random.default_rng(3))
    assert found.dtype == torch.float64
    # Not equal to the last bit: torch adds 1e-6 to the norm it divides by.
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initial_weights_have_the_spread_of_their_name(name: str) -> None:
    row = settings(initializer=name, init_scale=2.0, hidden_width=200, num_layers=1)
    weight, bias, *_ = Net(load("digits", 1200), row, np.random.default_rng(0)).parameters
    variance = {"he": 2 / 64, "xavier": 2 / 264, "lecun": 1 / 64}[name.split("_")[0]]
    assert float(weight.detach().var()) == pytest.approx(4 * variance, rel=0.05)
    limit = 2 * math.sqrt(3 * variance)
    assert (float(weight.detach().abs().max()) <= limit) == name.endswith("uniform")
    assert not bias.any()


def test_dropout_keeps_the_mean_and_ends_with_training() -> None:
    data = load("digits", 1200)
    row = settings(dropout=0.3, num_layers=1, hidden_width=64)
    net = Net(data, row, np.random.default_rng(0))
    mask = net._mask((200, 200))
    assert float((mask == 0).double().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(mask.double().mean()) == pytest.approx(1, abs=0.01)
    with torch.no_grad():
        assert not torch.equal(net(data.x[:9]), net(data.x[:9]))
        assert torch.equal(net(data.x[:9], "use"), net(data.x[:9], "use"))


def test_with_batch_norm_a_row_is_judged_alone_and_by_training_rows() -> None:
    data = load("digits", 1200)
    net = Net(data, settings(normalization="batch", dropout=0.4), np.random.default_rng(0))
    with torch.no_grad():
        seen = net(data.x, "collect")
        torch.testing.assert_close(net(data.x, "use"), seen, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            net(data.x_val[:1], "use"), net(data.x_val, "use")[:1], rtol=1e-4, atol=1e-4
        )


# Data


@pytest.mark.parametrize("task", SETTINGS)
def test_training_and_validation_rows_are_all_rows_once(task: str) -> None:
    from sklearn import datasets

    setting = SETTINGS[task]
    x, y = getattr(datasets, f"load_{setting.source}")(return_X_y=True)
    data = setting.data
    assert len(data.x) == setting.rows == len(data.y)
    both = torch.cat([data.x, data.x_val]).flatten(1).double().numpy()
    # Undo nothing: ranks within a column survive any scaling.
    column = int(np.argmax([len(np.unique(c)) for c in x.T]))
    np.testing.assert_array_equal(
        np.unique(both[:, column], return_counts=True)[1], np.unique(x[:, column], return_counts=True)[1]
    )
    assert len(np.unique(both, axis=0)) == len(np.unique(x, axis=0))
    if data.classes and not setting.wrong:
        labels = torch.cat([data.y, data.y_val]).numpy()
        np.testing.assert_array_equal(np.bincount(labels), np.bincount(y))
    assert float(data.x.mean()) == pytest.approx(0, abs=1e-5)
    assert float((data.x.double() ** 2).mean()) == pytest.approx(1, abs=1e-5)


def test_a_fifth_of_the_training_labels_is_wrong_and_none_to_validate() -> None:
    noisy, clean = SETTINGS["digits_noise"].data, SETTINGS["digits_error"].data
    assert torch.equal(noisy.x, clean.x) and torch.equal(noisy.y_val, clean.y_val)
    wrong = noisy.y != clean.y
    assert float(wrong.double().mean()) == pytest.approx(0.2, abs=0.03)
    assert set(noisy.y.tolist()) == set(range(10))


def test_an_autoencoder_learns_its_input_and_a_convolution_sees_the_same_rows() -> None:
    data = SETTINGS["digits_rebuild"].data
    assert torch.equal(data.y, data.x) and torch.equal(data.y_val, data.x_val)
    image = SETTINGS["conv_error"].data
    assert image.x.shape == (1200, 1, 8, 8) and torch.equal(image.x.flatten(1), data.x)


def test_judging() -> None:
    rng = np.random.default_rng(0)
    data = load("wine", 100)
    output, y = rng.standard_normal((78, 3)), data.y_val.numpy()
    wrong = np.mean([row.argmax() != label for row, label in zip(output, y, strict=True)])
    shares = [np.exp(row[label]) / np.exp(row).sum() for row, label in zip(output, y, strict=True)]
    assert _judge(torch.from_numpy(output), data, "error") == wrong
    assert _judge(torch.from_numpy(output), data, "loss") == pytest.approx(np.log(-np.log(shares).mean()))
    data = load("diabetes", 300)
    output, y = rng.standard_normal((142, 1)), data.y_val.double().numpy()
    assert _judge(torch.from_numpy(output), data, "loss") == pytest.approx(np.log(((output - y) ** 2).mean()))
    with pytest.raises(Infeasible, match=r"logarithm of a loss of 0\.0"):
        _judge(data.y_val.double(), data, "loss")
    with pytest.raises(Infeasible, match="not finite"):
        _judge(torch.full((142, 1), torch.nan), data, "loss")


# The family


def test_what_the_family_offers() -> None:
    assert get_family("training") is FAMILY and isinstance(FAMILY, Training)
    assert FAMILY.stands_for == "Init2Winit"
    assert len(FAMILY.specs) >= 9
    four = [s.name for s in FAMILY.specs if len(FAMILY.space(s.name)) == 4]
    assert len(four) >= 2
    for name in four:
        space = FAMILY.space(name)
        assert list(space.names) == FOUR and {p.kind for p in space.parameters} == {"real"}
    assert {s.unit for s in FAMILY.specs} == {"1", "log"}
    assert set(FAMILY.versions()) == {"torch", "numpy", "scikit-learn", "python", "cpu"}


def test_every_parameter_of_a_space_is_used_and_no_default_is_idle() -> None:
    varied = {name for setting in SETTINGS.values() for name in setting.space.names}
    known = {*DEFAULTS, *RULE, "learning_rate", "lr_decay_power", "lr_decay_steps_factor"}
    assert varied <= known
    for setting in SETTINGS.values():
        assert set(setting.fixed) <= set(DEFAULTS) - set(setting.space.names)


@pytest.mark.parametrize("task", SETTINGS)
def test_rows_measure_and_repeat(task: str) -> None:
    rows = [FAMILY.draw(task, index) for index in range(2)]
    values = [FAMILY.measure(task, row) for row in rows]
    assert np.isfinite(values).all() and len(set(values)) == 2
    assert FAMILY.measure(task, rows[0]) == values[0]
    again = [FAMILY.measure(task, row, repeat=1) for row in rows]
    assert again != values and again[1] == FAMILY.measure(task, rows[1], repeat=1)
    if SETTINGS[task].measure == "error":
        assert all(0 <= y <= 1 for y in values)


def test_another_process_measures_the_same() -> None:
    tasks = ["digits_noise", "conv_error", "cancer_loss", "diabetes_schedule"]
    code = (
        "import json, sys; from embreg.making.training import FAMILY\n"
        "tasks = json.loads(sys.argv[1])\n"
        "print(json.dumps([FAMILY.measure(t, FAMILY.draw(t, 5), r) for t in tasks for r in (0, 2)]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, json.dumps(tasks)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == [FAMILY.measure(t, FAMILY.draw(t, 5), r) for t in tasks for r in (0, 2)]


def test_a_row_from_a_table_has_the_seed_of_the_drawn_row() -> None:
    row = FAMILY.draw("wine_loss", 4)
    read = {k: v if v is None or isinstance(v, str) else np.asarray(v)[()] for k, v in reversed(row.items())}
    assert any(isinstance(v, np.generic) for v in read.values())
    assert FAMILY.measure("wine_loss", read) == FAMILY.measure("wine_loss", row)


def test_the_caller_keeps_threads_random_numbers_and_modes() -> None:
    task, row = "digits_schedule", FAMILY.draw("digits_schedule", 0)
    alone = FAMILY.measure(task, row)
    torch.manual_seed(7)
    np.random.seed(7)
    states = torch.get_rng_state(), np.random.get_state()[1]
    torch.set_num_threads(2)
    torch.set_default_dtype(torch.float16)
    try:
        with torch.no_grad():
            assert FAMILY.measure(task, row) == alone
            assert not torch.is_grad_enabled()
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()


def test_a_run_that_diverges_is_infeasible() -> None:
    row = FAMILY.draw("diabetes_loss", 0) | {"init_scale": 1e300, "normalization": "none", "num_layers": 2}
    with pytest.raises(Infeasible, match="diverged"):
        FAMILY.measure("diabetes_loss", row)


def test_bad_input_is_named() -> None:
    row = FAMILY.draw("conv_schedule", 0)
    with pytest.raises(ValueError, match="no task 'mnist'; it has: digits_error, "):
        FAMILY.measure("mnist", row)
    with pytest.raises(ValueError, match="no task 'mnist'"):
        FAMILY.space("mnist")
    with pytest.raises(ValueError, match=r"must hold learning_rate, .* got one_minus_momentum"):
        FAMILY.measure("conv_schedule", {k: v for k, v in row.items() if k != "learning_rate"})
    with pytest.raises(ValueError, match=r"a row must hold .* got .*, epochs"):
        FAMILY.measure("conv_schedule", row | {"epochs": 1})
    with pytest.raises(ValueError, match="repeat must be a whole number"):
        FAMILY.measure("conv_schedule", row, repeat=-1)


@pytest.mark.parametrize(("module", "package"), [("torch", "torch"), ("sklearn", "scikit-learn")])
def test_a_missing_package_is_named(module: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FAMILY.require()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingTool, match=f"pip install {package}$"):
        FAMILY.require()


def test_choices_are_what_the_nets_know() -> None:
    kinds = {p.name: p.choices for p in SETTINGS["digits_error"].parameters}
    assert kinds["activation"] == ACTIVATIONS and kinds["normalization"] == NORMALIZATIONS
    assert kinds["optimizer"] == OPTIMIZERS and kinds["lr_schedule"] == SCHEDULES

"""One report on one model: gates, gradients and memory, with figures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops, tree

from seqcore.inspect import figures
from seqcore.inspect.gates import Gates, gate_activations
from seqcore.inspect.gradients import GradientFlow, gradient_flow, spectral_radius
from seqcore.inspect.observe import recurrent_layers
from seqcore.inspect.sensitivity import Memory, memory_horizon, receptive_field

_SHUT, _OPEN = 0.1, 0.9
_GATES = {"i": "input", "f": "forget", "o": "output"}


def write_report(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    out: str | os.PathLike,
    loss: Any = None,
    title: str = "",
    input_figure: Mapping[str, Any] | None = None,
    extra: Sequence[str] = (),
) -> Path:
    """Write ``report.md`` and its figures on how ``model`` reads ``x``.

    Args:
        model: a built Keras model that holds seqcore layers.
        x: some examples, in the form that the model takes; gates are drawn for the
            first.
        y: their targets. Without them the gradients are those of half the mean
            square of the model's floating point outputs.
        out: folder to write to; made if it does not exist. Files of an earlier
            report in it are replaced.
        loss: as for :func:`gradient_flow`.
        title: heading of the report; the model's name by default.
        input_figure: drawn over the gates; arguments of :func:`plot_gates` such
            as ``words``, ``strokes``, ``spectrogram``. ``moments`` there are shares
            of the sequence from 0 to 1, as each layer counts its own steps.
        extra: Markdown lines that go before the tables.

    Returns:
        The path of ``report.md``, which is written last.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: ``model`` is no Keras model.
        ValueError: no seqcore layer, ``x`` does not fit, or ``y`` is given and
            there is no loss.
    """
    figures.new_figure(1, 1)  # before any work: is matplotlib there?
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: is a file; give a folder to write the report to")
    layers = recurrent_layers(model)
    gates = gate_activations(model, x)
    if y is None:
        flows = gradient_flow(model, x, loss=_half_square)
    else:
        flows = gradient_flow(model, x, y, loss=loss)
    memories = {"state": memory_horizon(model, x, of="state")}
    if _has_one_output(model):
        memories["output"] = memory_horizon(model, x)
    lines = [
        f"# {title or model.name}: gates, gradients, memory",
        "",
        *extra,
        "## Layers",
        "",
        *_layer_table(layers, gates, spectral_radius(model)),
        "",
        "## Gates",
        "",
        *_gate_table(gates),
        *_gate_figures(gates, folder, input_figure or {}),
        "",
        "## Gradients through time",
        "",
        "The gradient of "
        + ("half the mean square of the output" if y is None else "the loss")
        + " with respect to h at the first step that the layer takes, over that at "
        "the last (geometric mean over the examples). Far below 1 it vanishes, far "
        "above 1 it explodes; where every step has a part in the output of its own, "
        "it stays near 1.",
        "",
        *_flow_table(flows),
        "",
        _figure(
            figures.plot_gradient_flow(flows, folder / "gradients.png"), "gradients"
        ),
        "",
        "## Memory",
        "",
        "How many steps back an input of the layer still has at least 1 % of the "
        "largest influence: on the layer's own last state"
        + (
            ", and on the model's output (pooling over time carries inputs around the "
            "recurrence)."
            if "output" in memories
            else "."
        ),
        "",
        *_memory_table(memories),
        "",
    ]
    for of, found in memories.items():
        path = figures.plot_memory(
            found, folder / f"memory_{of}.png", title=f"influence on the {of}"
        )
        lines += [_figure(path, f"influence on the {of}"), ""]
    lines += _field(model, x, folder)
    report = folder / "report.md"
    temporary = folder / f".report.{os.getpid()}.md"
    temporary.write_text("\n".join(lines), "utf-8")
    temporary.replace(report)
    return report


def _half_square(_y: Any, output: Any) -> Any:
    found = [o for o in tree.flatten(output) if o.dtype.is_floating]
    return sum(0.5 * ops.mean(ops.square(ops.cast(o, "float32"))) for o in found)


def _has_one_output(model: Any) -> bool:
    outputs = getattr(model, "outputs", None) or []
    floating = [o for o in outputs if "float" in str(o.dtype)]
    return len(floating) == 1


def _figure(path: Path, text: str) -> str:
    return f"![{text}]({path.name})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _layer_table(layers, gates: dict[str, Gates], radii) -> list[str]:
    rows = []
    for name, layer in layers.items():
        radius = ", ".join(f"{k} {v:.2f}" for k, v in radii[name].items())
        way = "last step first" if layer.go_backwards else "first step first"
        steps = str(gates[name].steps) if name in gates else "not called"
        rows.append([name, type(layer).__name__, str(layer.units), steps, way, radius])
    head = ["layer", "kind", "units", "steps", "reads", "spectral radius"]
    return _table(head, rows)


def _gate_table(gates: dict[str, Gates]) -> list[str]:
    rows = []
    for name, one in gates.items():
        valid = one.mask if one.mask is not None else np.s_[:, :]
        for key, title in _GATES.items():
            if key in one.values:
                values = one[key][valid]
                rows.append(
                    [
                        f"{name}, {title} gate",
                        f"{values.mean():.3f}",
                        f"{100 * (values < _SHUT).mean():.0f} %",
                        f"{100 * (values > _OPEN).mean():.0f} %",
                    ]
                )
    if not rows:
        return ["Plain recurrent layers have no gates; their states are drawn below."]
    head = ["gate", "mean", f"shut (below {_SHUT})", f"open (above {_OPEN})"]
    return _table(head, rows)


def _gate_figures(gates, folder: Path, about: Mapping[str, Any]) -> list[str]:
    lines = []
    for number, (name, one) in enumerate(gates.items()):
        steps = one.length(0)
        options = dict(about)
        if "moments" in options:
            options["moments"] = steps_of(options["moments"], steps)
        if "words" in options and len(options["words"]) != steps:
            del options["words"]
        path = figures.plot_gates(one, folder / f"gates_{number}.png", **options)
        lines += ["", _figure(path, f"gates of {name}")]
    return lines


def steps_of(shares: Sequence[float], steps: int) -> list[int]:
    """Steps of a layer at shares of the sequence from 0 to 1, each once."""
    places = np.floor(np.asarray(shares, float) * steps).astype(int)
    return np.unique(np.clip(places, 0, steps - 1)).tolist()


def _flow_table(flows: dict[str, GradientFlow]) -> list[str]:
    rows = []
    for name, flow in flows.items():
        first, last = flow.ends()
        rows.append([name, f"{first:.2e}", f"{last:.2e}", f"{flow.ratio():.2e}"])
    return _table(["layer", "first step", "last step", "ratio"], rows)


def _memory_table(memories: dict[str, dict[str, Memory]]) -> list[str]:
    names = next(iter(memories.values()))
    rows = [
        [name, *(f"{found[name].horizon}" for found in memories.values())]
        for name in names
    ]
    return _table(["layer", *(f"steps, of the {of}" for of in memories)], rows)


def _field(model: Any, x: Any, folder: Path) -> list[str]:
    """The receptive field, for a model whose one input is an image."""
    inputs = getattr(model, "inputs", None) or []
    is_image = (
        len(inputs) == 1
        and len(inputs[0].shape) == 4
        and "float" in str(inputs[0].dtype)
        and _has_one_output(model)
        and len(model.outputs[0].shape) in (2, 4)
    )
    if not is_image:
        return []
    image = np.asarray(tree.flatten(x)[0])[0]
    field = receptive_field(model, image)
    path = figures.plot_receptive_field(
        field, folder / "receptive_field.png", image=image.mean(-1)
    )
    return ["## Receptive field", "", _figure(path, "receptive field"), ""]

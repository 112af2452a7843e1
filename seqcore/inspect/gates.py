"""What the gates do: their values at every step, and at chosen moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from seqcore.inspect.observe import in_input_order, observed, to_inputs

_LEAST_SPREAD = 0.01
"""A gate that hardly varies would otherwise have any difference for a large one."""


@dataclass(frozen=True)
class Gates:
    """The activations of one layer for one batch.

    Attributes:
        layer: its name.
        values: arrays (batch, time, size) by name: for an LSTM ``"i"``, ``"f"``,
            ``"o"`` (the input, forget and output gate), ``"candidate"``, ``"c"``,
            ``"h"``, ``"output"``; for an RNN ``"pre_activation"``, ``"h"``,
            ``"output"``. Step t belongs to the layer's t-th input, also in a layer
            that goes backwards.
        mask: boolean (batch, time), False at steps that were padding; or None.
            Values there are 0.
        backwards: whether the layer takes the last step first.
    """

    layer: str
    values: dict[str, np.ndarray]
    mask: np.ndarray | None
    backwards: bool

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.values:
            raise KeyError(f"{self.layer} has {', '.join(self.values)}, not {name!r}")
        return self.values[name]

    @property
    def steps(self) -> int:
        return next(iter(self.values.values())).shape[1]

    def length(self, example: int) -> int:
        """Steps of one example up to its last unmasked one."""
        if self.mask is None or not self.mask[example].any():
            return self.steps
        return int(np.flatnonzero(self.mask[example])[-1]) + 1


def gate_activations(model: Any, x: Any) -> dict[str, Gates]:
    """The gates of every seqcore layer while ``model`` reads ``x``.

    Args:
        model: a built Keras model that holds ``seqcore.RNN`` or ``seqcore.LSTM``,
            alone, in ``Bidirectional`` or ``TimeDistributed``, or nested.
        x: what the model takes, with the batch axis: an array, list or dict.

    Returns:
        :class:`Gates` by layer name. A layer that is called again is also there as
        ``NAME#2``.

    Raises:
        TypeError: ``model`` is no Keras model.
        ValueError: it holds no seqcore layer, or ``x`` does not fit it.

    Example:

    >>> gates = seqcore.inspect.gate_activations(model, x)
    >>> gates["lstm"]["f"].shape        # the forget gates
    (32, 100, 64)
    """
    found: dict[str, Gates] = {}

    def look(name, layer, sequences, states, mask):
        traced = layer.inspect(sequences, states, mask)
        found[name] = Gates(
            name,
            {
                key: in_input_order(ops.convert_to_numpy(value), layer)
                for key, value in traced.items()
            },
            None if mask is None else ops.convert_to_numpy(mask),
            layer.go_backwards,
        )
        return layer.inner_loop(sequences, states, mask, False)

    observed(model, to_inputs(model, x, "gate_activations"), look)
    return found


def gate_contrast(
    gates: Gates, moments: Sequence[np.ndarray], gate: str = "f"
) -> list[dict[str, float]]:
    """How a gate's units differ between given moments and all other steps.

    Args:
        gates: of one layer.
        moments: for each example of the batch, the steps in question: integers.
        gate: the name of an activation, as in :class:`Gates`.

    Returns:
        A dict a unit: ``unit``, ``there`` and ``elsewhere`` (the means at the
        moments and at all other unmasked steps), ``difference``, and ``effect``,
        the difference in units of the pooled standard deviation (Cohen's d),
        taken as 0.01 at least. The largest effect comes first.

    Raises:
        ValueError: not one entry an example, a step outside the sequence, no
            moment at all, or nothing but moments.
    """
    values = gates[gate]
    if len(moments) != len(values):
        raise ValueError(
            f"moments: expected one entry for each of {len(values)} examples, "
            f"got {len(moments)}"
        )
    chosen = np.zeros(values.shape[:2], bool)
    for row, steps in zip(chosen, moments, strict=True):
        steps = np.asarray(steps, int)
        if steps.size and (steps.min() < 0 or steps.max() >= len(row)):
            raise ValueError(
                f"moments: steps must be from 0 to {len(row) - 1}, got "
                f"{steps.min()} to {steps.max()}"
            )
        row[steps] = True
    valid = np.ones_like(chosen) if gates.mask is None else gates.mask
    there, elsewhere = values[chosen & valid], values[~chosen & valid]
    if not len(there) or not len(elsewhere):
        raise ValueError(
            f"moments: {len(there)} unmasked steps are chosen and {len(elsewhere)} "
            "are not; the contrast needs some of both"
        )
    difference = there.mean(0) - elsewhere.mean(0)
    spread = np.sqrt(0.5 * (there.var(0) + elsewhere.var(0)))
    effect = difference / np.maximum(spread, _LEAST_SPREAD)
    order = np.argsort(-np.abs(effect), kind="stable")
    return [
        {
            "unit": int(u),
            "there": float(there[:, u].mean()),
            "elsewhere": float(elsewhere[:, u].mean()),
            "difference": float(difference[u]),
            "effect": float(effect[u]),
        }
        for u in order
    ]

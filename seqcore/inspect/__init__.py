"""Instruments for any Keras model that holds seqcore layers: what the gates do, how
far gradients travel back in time, and what an output depends on.

=========================  =========================================================
:func:`gate_activations`   every gate of every layer at every step
:func:`gate_contrast`      which gates change at given moments (a pen-up, a word)
:func:`gradient_flow`      the gradient's norm at every step, by the fast path
:class:`GradientMonitor`   the same while training, with warnings
:func:`spectral_radius`    of the recurrent weights
:func:`memory_horizon`     how many steps back an input still matters
:func:`receptive_field`    which pixels an output depends on
:func:`write_report`       all of these for one model and one batch of data
=========================  =========================================================

The gradients need Keras's TensorFlow backend, the figures matplotlib. The names are
imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqcore.inspect.figures import (
        plot_gates,
        plot_gradient_flow,
        plot_memory,
        plot_receptive_field,
    )
    from seqcore.inspect.gates import Gates, gate_activations, gate_contrast
    from seqcore.inspect.gradients import GradientFlow, gradient_flow, spectral_radius
    from seqcore.inspect.monitor import GradientMonitor
    from seqcore.inspect.report import write_report
    from seqcore.inspect.sensitivity import Memory, memory_horizon, receptive_field

__all__ = [
    "Gates",
    "GradientFlow",
    "GradientMonitor",
    "Memory",
    "gate_activations",
    "gate_contrast",
    "gradient_flow",
    "memory_horizon",
    "plot_gates",
    "plot_gradient_flow",
    "plot_memory",
    "plot_receptive_field",
    "receptive_field",
    "spectral_radius",
    "write_report",
]

_MODULES = {
    "figures": (
        "plot_gates",
        "plot_gradient_flow",
        "plot_memory",
        "plot_receptive_field",
    ),
    "gates": ("Gates", "gate_activations", "gate_contrast"),
    "gradients": ("GradientFlow", "gradient_flow", "spectral_radius"),
    "monitor": ("GradientMonitor",),
    "report": ("write_report",),
    "sensitivity": ("Memory", "memory_horizon", "receptive_field"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'seqcore.inspect' has no attribute {name!r}")
    module = importlib.import_module(f"seqcore.inspect.{_HOME[name]}")
    return getattr(module, name)

"""The one hook through which an exporter replaces the time loop of a layer.

An exporter traces ``model.call`` inside ``with lowering(fn):``. Every seqcore
layer met on the way hands its loop to ``fn`` instead of running the training
path, so functional, sequential and subclassed models are served alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

# fn(layer, sequences, initial_state, mask) -> (last_output, outputs, states)
Lowering = Callable[[Any, Any, list[Any], Any], tuple[Any, Any, list[Any]]]

_current: ContextVar[Lowering | None] = ContextVar("seqcore_lowering", default=None)


@contextmanager
def lowering(fn: Lowering | None) -> Iterator[None]:
    """Hand the time loop of every seqcore layer called inside to ``fn``.

    Args:
        fn: ``fn(layer, sequences, initial_state, mask)`` returning
            ``(last_output, outputs, states)``. ``sequences`` has shape
            (batch, time, features) in the order given by the caller:
            ``layer.go_backwards`` and ``layer.zero_output_for_mask`` are for
            ``fn`` to honour. ``mask`` is boolean (batch, time) or None.
            ``outputs`` has shape (batch, time, output size), or (batch, 1,
            output size) where ``layer.return_sequences`` is False. None gives the
            layers their own loop back, for an ``fn`` that only looks on.
    """
    token = _current.set(fn)
    try:
        yield
    finally:
        _current.reset(token)


def current_lowering() -> Lowering | None:
    """The function set by the innermost :func:`lowering`, or None."""
    return _current.get()

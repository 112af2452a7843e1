"""The plain recurrence's fast time loop, see ``tensorflow_kernel.py``.

It takes any activation whose derivative is a function of its value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from seqcore.layers import tensorflow_kernel as kernels

_DERIVATIVES: dict[str, Callable[[Any], Any]] = {
    "tanh": lambda h: 1 - h * h,
    "sigmoid": lambda h: h * (1 - h),
    "relu": lambda h: tf.cast(h > 0, h.dtype),
    "linear": tf.ones_like,
}
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": tf.tanh,
    "sigmoid": lambda z: 0.5 + 0.5 * tf.tanh(0.5 * z),
    "relu": tf.nn.relu,
    "linear": tf.identity,
}


def _forward(x, kernel, bias, recurrent, h0, mask, steps, *, activation, sequences):
    """All states, time-major, or with ``sequences`` false the last; and [x 1]."""
    rows = kernels.inputs_and_ones(x, kernel, bias)
    p = kernels.project(x, rows, kernel, bias)
    mask = kernels.mask_columns(mask)
    activate = _ACTIVATIONS[activation]
    length, units = tf.shape(p)[0], recurrent.shape[0]
    # The states take the place of the projections.
    buffer = kernels.buffer(length, units, p.dtype).unstack(p) if sequences else ()

    def body(t, h, buffer):
        p_t = buffer.read(t) if sequences else p[t]
        new = activate(p_t + tf.matmul(h, recurrent))
        h = kernels.where(kernels.row(mask, t), new, h)
        return t + 1, h, (buffer.write(t, h) if sequences else buffer)

    _, h, buffer = tf.while_loop(lambda t, *_: t < steps, body, (0, h0, buffer))
    return (buffer.stack() if sequences else h), rows


def _backward(
    dhs,
    dh,
    kernel,
    bias,
    recurrent,
    h0,
    hs,
    rows,
    mask,
    steps,
    *,
    activation,
    trace,
    whole,
):
    """Gradients of projections, initial state and weights, in this order.

    ``dhs`` is the gradient of all outputs, or None where only that of the last
    state, ``dh``, arrives. With ``trace`` those of h at all steps follow.
    ``whole``: there are no rows behind ``steps``.
    """
    mask = kernels.mask_columns(mask)
    dhs = kernels.time_major(dhs)
    length, units = tf.shape(hs)[0], recurrent.shape[0]
    factor = _DERIVATIVES[activation](hs)
    factor = kernels.where(mask, factor, tf.zeros((), hs.dtype))
    if not whole:
        run = (tf.range(length) < steps)[:, None, None]
        factor = tf.where(run, factor, tf.zeros((), hs.dtype))
    transposed = tf.transpose(recurrent)
    if dhs is not None:
        dh += dhs[steps - 1]

    def body(turn, dh, buffer, traces):
        t = steps - 1 - turn
        traces = kernels.kept(traces, (dh,), kernels.row(mask, t), t)
        dz = dh * buffer.read(t)
        dh_before = tf.matmul(dz, transposed)
        if mask is not None:
            dh_before += tf.where(mask[t], tf.zeros_like(dh), dh)
        if dhs is not None:
            dh_before += kernels.incoming(dhs, t)
        return turn + 1, dh_before, buffer.write(t, dz), traces

    # The gradients take the place of the factors.
    buffer = kernels.buffer(length, units, hs.dtype).unstack(factor)
    traces = tuple(kernels.buffer(length, units, hs.dtype) for _ in range(trace))
    _, dh, buffer, traces = tf.while_loop(
        lambda turn, *_: turn < steps, body, (0, dh, buffer, traces)
    )
    dz = buffer.stack()
    weights = kernels.weight_gradients(h0, hs, rows, kernel, bias, dz)
    return dz, dh, *weights, *(kernels.time_major(b.stack()) for b in traces)


def rnn(
    x,
    weights,
    states,
    mask,
    steps,
    *,
    activation: str,
    sequences: bool,
    training: bool,
    probes=(),
):
    """Plain recurrence over ``x``, arguments as for :func:`tensorflow_lstm.lstm`.

    Returns ``(hs, h)``.
    """
    keep = sequences or training
    forward = kernels.compiled(_forward, activation=activation, sequences=keep)
    keeping = kernels.compiled(_forward, activation=activation, sequences=True)
    backward = kernels.compiled(
        _backward,
        activation=activation,
        trace=bool(probes),
        whole=kernels.runs_all(x, steps),
    )

    @tf.custom_gradient
    def run(x, h0, *rest):
        recurrent, kernel, bias = (*rest[: len(weights)], None, None)[:3]
        weighing = (kernel, bias, recurrent, h0)
        out, rows = forward(x, *weighing, mask, steps)
        h = out[steps - 1] if keep else out
        outputs = (kernels.time_major(out), h) if sequences else (h,)

        def gradient(*upstream):
            dhs, dh = upstream if sequences else (None, *upstream)
            dz, *others = kernels.once_differentiable(
                lambda *a: backward(*a, mask, steps),
                *(dhs, dh, *weighing),
                *((out, rows) if keep else keeping(x, *weighing, mask, steps)),
            )
            return kernels.input_gradient(dz, kernel), *others

        return outputs, gradient

    outputs = run(x, *states, *weights, *probes)
    return outputs if sequences else (None, *outputs)

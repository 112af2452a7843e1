"""The fast time loops for TensorFlow, each with its gradient written by hand.

Both recurrences have the form ``z_t = p_t + h_{t-1} R`` followed by arithmetic on
single elements, with the input projections ``p = x W + b`` of all steps computed
beforehand. Then

- the forward loop does one small matrix product a step and keeps what the
  gradient needs;
- the backward loop does one small product a step, ``dz_t R^T``, with all that
  does not depend on the incoming gradient computed for all steps before it;
- the weight gradients are one large product after the loop,
  ``[H X 1]^T dZ = [dR; dW; db]``.

Projection, loop and weight gradients are compiled with XLA as one piece forward and
one backward. What shapes the code below, all of it measured:

- XLA's CPU runtime runs a loop body of at most eight kernels in order, and a
  larger one through a task queue, which costs 10 to 20 microseconds a step. So
  the bodies are kept to eight: the loops store little, and what can be
  recomputed for all steps at once is not stored.
- XLA's sigmoid calls a scalar exponential, its tanh is vectorised. As
  sigmoid(x) = (1 + tanh(x / 2)) / 2, one tanh serves all four gates.
- Small layers spend as long on passes over whole sequences as in the loop: a bias
  added by itself, a bias gradient, a buffer filled with zeros cost 200 to 400
  microseconds each at (32, 50, 13, 64). So the bias is a row of the projection's
  matrix, and the activations are written over the projections.
- The gradient of the inputs stays outside: where nobody asks, it is not computed.

Sequences are handed in and out as (batch, time, features), with a boolean ``mask``
(batch, time) or None; a masked step keeps the state. Inside they are time-major.
``steps`` is the number of steps to run, at most the length of the buffers, so that
sequences of many lengths can share one compiled loop; rows behind it mean nothing.
``probes`` are zeros shaped like the states at all steps, or nothing: their values
are not used, and their gradients are those of the states, which the backward loop
comes by anyway (``trace`` makes it keep them).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import tensorflow as tf

_SECOND_ORDER = (
    "seqcore's fast time loop has no second-order gradient. Build the layer with "
    "`unroll=True`, or call it eagerly: both are differentiated by TensorFlow, to "
    "any order."
)


@cache
def _compiled(fn, **flags):
    """``fn`` with its flags, compiled by XLA once for each shape it meets."""
    return tf.function(partial(fn, **flags), jit_compile=True, autograph=False)


def _once_differentiable(fn, *args):
    """``fn(*args)`` that refuses a second-order gradient; arguments may be None."""

    def refuse(*_):
        raise NotImplementedError(_SECOND_ORDER)

    @tf.custom_gradient
    def run(*given):
        tensors = iter(given)
        return fn(*(None if a is None else next(tensors) for a in args)), refuse

    return run(*(a for a in args if a is not None))


def _where(mask, new, old):
    return new if mask is None else tf.where(mask, new, old)


def _row(sequence, t):
    return None if sequence is None else sequence[t]


def _buffer(length, width, dtype):
    return tf.TensorArray(dtype, length, element_shape=(None, width))


def _before(first, sequence):
    """The state each step starts from: ``sequence`` one step later."""
    return tf.concat([first[None], sequence[:-1]], axis=0)


def _seen(mask):
    """Whether a step or one before it is unmasked."""
    return tf.cumsum(tf.cast(mask, tf.int32), axis=0) > 0


def _incoming(dhs, t):
    """The gradient arriving at the output of step ``t - 1``; none before step 0."""
    row = dhs[tf.maximum(t - 1, 0)]
    return tf.where(t > 0, row, tf.zeros_like(row))


def _time_major(x):
    """(batch, time, ...) to (time, batch, ...), or back; None stays None."""
    if x is None:
        return None
    return tf.transpose(x, (1, 0, *range(2, len(x.shape))))


def _mask_columns(mask):
    """(batch, time) to (time, batch, 1)."""
    return None if mask is None else _time_major(mask)[:, :, None]


def _project(x, kernel, bias):
    """``x W + b`` for all steps, (batch, time, features) to (time, batch, gates).

    Without a kernel ``x`` is the projection already.
    """
    x = _time_major(x)
    if kernel is None:
        return x
    if bias is not None:
        x = tf.concat([x, tf.ones_like(x[:, :, :1])], axis=-1)
        kernel = tf.concat([kernel, bias[None]], axis=0)
    p = tf.matmul(tf.reshape(x, (-1, x.shape[-1])), kernel)
    return tf.reshape(p, (*tf.unstack(tf.shape(x)[:2]), kernel.shape[-1]))


def _weight_gradients(x, kernel, bias, h_before, dz):
    """Gradients of recurrent kernel, and of kernel and bias where there are any."""
    columns = [h_before]
    if kernel is not None:
        columns.append(_time_major(x))
    if bias is not None:
        columns.append(tf.ones_like(h_before[:, :, :1]))
    factor = tf.concat(columns, axis=-1)
    product = tf.matmul(
        tf.reshape(factor, (-1, factor.shape[-1])),
        tf.reshape(dz, (-1, dz.shape[-1])),
        transpose_a=True,
    )
    parts = tf.split(product, [c.shape[-1] for c in columns])
    return parts if bias is None else [*parts[:-1], parts[-1][0]]


def _input_gradient(dz, kernel):
    """dX = dZ W^T, or dZ where the input was projected already."""
    dx = dz if kernel is None else tf.tensordot(dz, kernel, ((2,), (1,)))
    return _time_major(dx)


def _kept(traces, values, mask_t, t):
    """Write the states' gradients of step ``t``; zero where it is masked."""
    return tuple(
        trace.write(t, _where(mask_t, value, tf.zeros_like(value)))
        for trace, value in zip(traces, values, strict=False)
    )


# LSTM, tanh and sigmoid. Gates in the order i, f, g, o; ``ys`` holds
# tanh of the scaled pre-activations, so that i = (1 + y_i) / 2, g = y_g.


def _lstm_forward(x, kernel, bias, recurrent, h0, c0, mask, steps, *, sequences, keep):
    """``keep`` also returns what the gradient needs."""
    units = recurrent.shape[0]
    half, one = tf.fill((units,), 0.5), tf.ones((units,))
    scale = tf.cast(tf.concat([half, half, one, half], 0), recurrent.dtype)
    if kernel is None:
        x = x * scale
    else:
        kernel = kernel * scale
        bias = None if bias is None else bias * scale
    recurrent = recurrent * scale
    p = _project(x, kernel, bias)
    length, batch = tf.unstack(tf.shape(p)[:2])
    # With a mask the gates of the last unmasked step are carried along, so that
    # the outputs can be recomputed for all steps at once.
    carried = keep and mask is not None
    y0 = tf.zeros((batch, 4 * units), p.dtype) if carried else ()
    mask = _mask_columns(mask)
    buffers: tuple[Any, ...] = ()
    if keep:
        # The activations take the place of the projections.
        buffers = (
            _buffer(length + 1, units, p.dtype).write(0, c0),
            _buffer(length, 4 * units, p.dtype).unstack(p),
        )
    elif sequences:
        buffers = (_buffer(length, units, p.dtype),)

    def body(t, h, c, y_before, buffers):
        m = _row(mask, t)
        row = buffers[1].read(t) if keep else p[t]
        y = tf.tanh(row + tf.matmul(h, recurrent))
        if carried:
            y = y_before = tf.where(m, y, y_before)
        i, f, g, o = tf.split(y, 4, axis=-1)
        # Without a mask the condition is always true. It keeps XLA from computing
        # c anew inside each of its three uses, which would make nine kernels.
        runs = t < steps if m is None else m
        c = tf.where(runs, 0.5 * ((f + 1) * c + (i + 1) * g), c)
        h = _where(m, 0.5 * (o + 1) * tf.tanh(c), h)
        if keep:
            buffers = (buffers[0].write(t + 1, c), buffers[1].write(t, y))
        elif sequences:
            buffers = (buffers[0].write(t, h),)
        return t + 1, h, c, y_before, buffers

    _, h, c, _, buffers = tf.while_loop(
        lambda t, *_: t < steps,
        body,
        (0, h0, c0, y0, buffers),
        maximum_iterations=length,
    )
    if not keep:
        return (buffers[0].stack() if sequences else h), c
    cs, ys = buffers[0].stack(), buffers[1].stack()
    tanh_c = tf.tanh(cs[1:])
    hs = 0.5 * (ys[:, :, 3 * units :] + 1) * tanh_c
    if mask is not None:
        hs = tf.where(_seen(mask), hs, h0)
    return h, c, hs, cs, ys, tanh_c


def _lstm_backward(
    dhs,
    dh,
    dc,
    x,
    kernel,
    bias,
    recurrent,
    h0,
    hs,
    cs,
    ys,
    tanh_c,
    mask,
    steps,
    *,
    trace,
):
    """Gradients of projections, initial states and weights, in this order.

    ``dhs`` is the gradient of all outputs, or None where only that of the last
    state, ``dh``, arrives. With ``trace`` those of h and c at all steps follow.
    """
    length = tf.shape(ys)[0]
    units = recurrent.shape[0]
    mask = _mask_columns(mask)
    dhs = _time_major(dhs)
    i, f, g, o = tf.split(ys, 4, axis=-1)
    # dz = factor * [dc, dc, dc, dh], and dc_{t-1} = f_t dc_t.
    factor = tf.concat(
        [
            g * (0.25 - 0.25 * i * i),
            cs[:-1] * (0.25 - 0.25 * f * f),
            (i + 1) * (0.5 - 0.5 * g * g),
            tanh_c * (0.25 - 0.25 * o * o),
        ],
        axis=-1,
    )
    through_h = 0.5 * (o + 1) * (1 - tanh_c * tanh_c)
    forget = 0.5 * (f + 1)
    if mask is not None:
        zero = tf.zeros((), ys.dtype)
        factor = tf.where(mask, factor, zero)
        through_h = tf.where(mask, through_h, zero)
        forget = tf.where(mask, forget, tf.ones((), ys.dtype))
    # The product with f_t is taken in the next turn, together with the sum.
    last = tf.reshape(tf.range(1, length + 1) < steps, (-1, 1, 1))
    forget_next = tf.concat([forget[1:], forget[:1]], axis=0)
    forget_next = tf.where(last, forget_next, tf.ones((), ys.dtype))
    transposed = tf.transpose(recurrent)
    if dhs is not None:
        dh += dhs[steps - 1]

    def body(t, dh, dc, dz_buffer, traces):
        dc = dc * forget_next[t] + dh * through_h[t]
        traces = _kept(traces, (dh, dc), _row(mask, t), t)
        dz = tf.concat([dc, dc, dc, dh], axis=-1) * factor[t]
        dh_before = tf.matmul(dz, transposed)
        if mask is not None:
            dh_before += tf.where(mask[t], tf.zeros_like(dh), dh)
        if dhs is not None:
            dh_before += _incoming(dhs, t)
        return t - 1, dh_before, dc, dz_buffer.write(t, dz), traces

    traces = tuple(_buffer(length, units, ys.dtype) for _ in range(2 * trace))
    _, dh, dc, dz_buffer, traces = tf.while_loop(
        lambda t, *_: t >= 0,
        body,
        (steps - 1, dh, dc, _buffer(length, 4 * units, ys.dtype), traces),
        maximum_iterations=length,
    )
    dz = dz_buffer.stack()
    weights = _weight_gradients(x, kernel, bias, _before(h0, hs), dz)
    dc0 = dc * forget[0]
    return dz, dh, dc0, *weights, *(_time_major(b.stack()) for b in traces)


# The plain recurrent network, with any activation whose derivative is a function
# of its value.

DERIVATIVES: dict[str, Callable[[Any], Any]] = {
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


def _rnn_forward(x, kernel, bias, recurrent, h0, mask, steps, *, activation, sequences):
    p = _project(x, kernel, bias)
    mask = _mask_columns(mask)
    activate = _ACTIVATIONS[activation]
    length, units = tf.shape(p)[0], recurrent.shape[0]
    # The states take the place of the projections.
    buffer = _buffer(length, units, p.dtype).unstack(p) if sequences else ()

    def body(t, h, buffer):
        row = buffer.read(t) if sequences else p[t]
        h = _where(_row(mask, t), activate(row + tf.matmul(h, recurrent)), h)
        return t + 1, h, (buffer.write(t, h) if sequences else buffer)

    _, h, buffer = tf.while_loop(
        lambda t, *_: t < steps, body, (0, h0, buffer), maximum_iterations=length
    )
    return buffer.stack() if sequences else h


def _rnn_backward(
    dhs, dh, x, kernel, bias, recurrent, h0, hs, mask, steps, *, activation, trace
):
    """As :func:`_lstm_backward`."""
    mask = _mask_columns(mask)
    dhs = _time_major(dhs)
    length = tf.shape(hs)[0]
    factor = DERIVATIVES[activation](hs)
    if mask is not None:
        factor = tf.where(mask, factor, tf.zeros((), hs.dtype))
    transposed = tf.transpose(recurrent)
    if dhs is not None:
        dh += dhs[steps - 1]

    def body(t, dh, dz_buffer, traces):
        traces = _kept(traces, (dh,), _row(mask, t), t)
        dz = dh * factor[t]
        dh_before = tf.matmul(dz, transposed)
        if mask is not None:
            dh_before += tf.where(mask[t], tf.zeros_like(dh), dh)
        if dhs is not None:
            dh_before += _incoming(dhs, t)
        return t - 1, dh_before, dz_buffer.write(t, dz), traces

    units = recurrent.shape[0]
    traces = tuple(_buffer(length, units, hs.dtype) for _ in range(trace))
    _, dh, dz_buffer, traces = tf.while_loop(
        lambda t, *_: t >= 0,
        body,
        (steps - 1, dh, _buffer(length, units, hs.dtype), traces),
        maximum_iterations=length,
    )
    dz = dz_buffer.stack()
    weights = _weight_gradients(x, kernel, bias, _before(h0, hs), dz)
    return dz, dh, *weights, *(_time_major(b.stack()) for b in traces)


# The two recurrences with their gradients.


def lstm(
    x,
    weights,
    states,
    mask,
    steps,
    *,
    sequences: bool,
    training: bool,
    probes=(),
):
    """LSTM over inputs ``x`` of shape (batch, time, features).

    ``weights`` are ``(recurrent_kernel, kernel, bias)``; without the last, or the
    last two, that term is missing: ``x`` alone is then the projection, 4 units wide.
    ``states`` are h and c.

    Returns ``(hs, h, c)``: all outputs, shape (batch, time, units), or None unless
    ``sequences``, and the last states. ``training`` keeps what the gradient needs;
    without it the gradient, if one is asked for, runs the forward loop again.
    """
    forward = _compiled(_lstm_forward, sequences=sequences, keep=False)
    keeping = _compiled(_lstm_forward, sequences=sequences, keep=True)
    backward = _compiled(_lstm_backward, trace=bool(probes))

    @tf.custom_gradient
    def run(x, h0, c0, *rest):
        recurrent, kernel, bias = (*rest[: len(weights)], None, None)[:3]
        given = (x, kernel, bias, recurrent, h0)
        kept: list[Any] = []
        if training:
            h, c, *kept = keeping(*given, c0, mask, steps)
            outputs = (_time_major(kept[0]), h, c) if sequences else (h, c)
        else:
            hs, c = forward(*given, c0, mask, steps)
            outputs = (_time_major(hs), hs[steps - 1], c) if sequences else (hs, c)

        def gradient(*upstream):
            dhs, dh, dc = upstream if sequences else (None, *upstream)
            dz, *others = _once_differentiable(
                lambda *a: backward(*a, mask, steps),
                *(dhs, dh, dc, *given),
                *(kept or keeping(*given, c0, mask, steps)[2:]),
            )
            return _input_gradient(dz, kernel), *others

        return outputs, gradient

    outputs = run(x, *states, *weights, *probes)
    return outputs if sequences else (None, *outputs)


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
    """Plain recurrence over ``x``, weights and results as for :func:`lstm`.

    Returns ``(hs, h)``.
    """
    keep = sequences or training
    forward = _compiled(_rnn_forward, activation=activation, sequences=keep)
    keeping = _compiled(_rnn_forward, activation=activation, sequences=True)
    backward = _compiled(_rnn_backward, activation=activation, trace=bool(probes))

    @tf.custom_gradient
    def run(x, h0, *rest):
        recurrent, kernel, bias = (*rest[: len(weights)], None, None)[:3]
        given = (x, kernel, bias, recurrent, h0)
        out = forward(*given, mask, steps)
        h = out[steps - 1] if keep else out
        outputs = (_time_major(out), h) if sequences else (h,)

        def gradient(*upstream):
            dhs, dh = upstream if sequences else (None, *upstream)
            dz, *others = _once_differentiable(
                lambda *a: backward(*a, mask, steps),
                *(dhs, dh, *given, out if keep else keeping(*given, mask, steps)),
            )
            return _input_gradient(dz, kernel), *others

        return outputs, gradient

    outputs = run(x, *states, *weights, *probes)
    return outputs if sequences else (None, *outputs)

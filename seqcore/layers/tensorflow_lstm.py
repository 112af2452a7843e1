"""The LSTM's fast time loop, tanh and sigmoid, see ``tensorflow_kernel.py``.

Gates in the order i, f, g, o. ``ys`` holds tanh of the scaled pre-activations of all
steps, so that i = (1 + y_i) / 2 and g = y_g; ``cs`` the cells, from the initial one
on.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from seqcore.layers import tensorflow_kernel as kernels


def _hidden(ys, tanh_c, mask, h0):
    """h of all steps."""
    o = ys[:, :, 3 * tanh_c.shape[-1] :]
    hs = 0.5 * (o + 1) * tanh_c
    if mask is None:
        return hs
    # The first steps, as long as they are masked, compute nothing.
    seen = tf.cumsum(tf.cast(mask, tf.int32), axis=0) > 0
    return tf.where(seen, hs, h0)


def _forward(x, kernel, bias, recurrent, h0, c0, mask, steps, *, sequences, keep):
    """``(hs, h, c)``, all h (time-major) being None unless ``sequences``.

    ``keep`` adds what the gradient needs: [x 1], cs, ys, tanh(c).
    """
    units = recurrent.shape[0]
    half, one = tf.fill((units,), 0.5), tf.ones((units,))
    scale = tf.cast(tf.concat([half, half, one, half], 0), recurrent.dtype)
    if kernel is None:
        x = x * scale
    else:
        kernel = kernel * scale
        bias = None if bias is None else bias * scale
    recurrent = recurrent * scale
    rows = kernels.inputs_and_ones(x, kernel, bias)
    p = kernels.project(x, rows, kernel, bias)
    length, batch = tf.unstack(tf.shape(p)[:2])
    # With a mask the gates of the last unmasked step are carried along, so that
    # the outputs can be recomputed for all steps at once.
    carried = keep and mask is not None
    y0 = tf.zeros((batch, 4 * units), p.dtype) if carried else ()
    mask = kernels.mask_columns(mask)
    buffers: tuple[Any, ...] = ()
    if keep:
        # The activations take the place of the projections.
        buffers = (
            kernels.buffer(length + 1, units, p.dtype).write(0, c0),
            kernels.buffer(length, 4 * units, p.dtype).unstack(p),
        )
    elif sequences:
        buffers = (kernels.buffer(length, units, p.dtype),)

    def body(t, h, c, y_before, buffers):
        m = kernels.row(mask, t)
        p_t = buffers[1].read(t) if keep else p[t]
        y = tf.tanh(p_t + tf.matmul(h, recurrent))
        if carried:
            y = y_before = tf.where(m, y, y_before)
        i, f, g, o = tf.split(y, 4, axis=-1)
        # Without a mask the condition is always true. It keeps XLA from computing
        # c anew inside each of its three uses, which would make nine kernels.
        runs = t < steps if m is None else m
        c = tf.where(runs, 0.5 * ((f + 1) * c + (i + 1) * g), c)
        h = kernels.where(m, 0.5 * (o + 1) * tf.tanh(c), h)
        if keep:
            buffers = (buffers[0].write(t + 1, c), buffers[1].write(t, y))
        elif sequences:
            buffers = (buffers[0].write(t, h),)
        return t + 1, h, c, y_before, buffers

    _, h, c, _, buffers = tf.while_loop(
        lambda t, *_: t < steps, body, (0, h0, c0, y0, buffers)
    )
    if not keep:
        return (buffers[0].stack() if sequences else None), h, c
    cs, ys = buffers[0].stack(), buffers[1].stack()
    tanh_c = tf.tanh(cs[1:])
    hs = _hidden(ys, tanh_c, mask, h0) if sequences else None
    return hs, h, c, rows, cs, ys, tanh_c


def _factor(cs, ys, tanh_c, mask):
    """What turns [dc, dc, dc, dh] into dz, for all steps."""
    i, f, g, o = tf.split(ys, 4, axis=-1)
    gates = (
        g * (0.25 - 0.25 * i * i),
        cs[:-1] * (0.25 - 0.25 * f * f),
        (i + 1) * (0.5 - 0.5 * g * g),
        tanh_c * (0.25 - 0.25 * o * o),
    )
    factor = tf.reshape(tf.stack(gates, axis=2), tf.shape(ys))
    return kernels.where(mask, factor, tf.zeros((), ys.dtype))


def _backward(
    dhs,
    dh,
    dc,
    kernel,
    bias,
    recurrent,
    h0,
    rows,
    cs,
    ys,
    tanh_c,
    mask,
    steps,
    *,
    trace,
    whole,
):
    """Gradients of projections, initial states and weights, in this order.

    ``dhs`` is the gradient of all outputs, or None where only that of the last
    state, ``dh``, arrives. With ``trace`` those of h and c at all steps follow.
    ``whole``: there are no rows behind ``steps``.
    """
    length = tf.shape(ys)[0]
    units = recurrent.shape[0]
    mask = kernels.mask_columns(mask)
    dhs = kernels.time_major(dhs)
    one = tf.ones((), ys.dtype)
    transposed = tf.transpose(recurrent)
    if dhs is not None:
        dh += dhs[steps - 1]

    def forget(t):
        f = 0.5 * (ys[t][:, units : 2 * units] + 1)
        return kernels.where(kernels.row(mask, t), f, one)

    def body(turn, dh, dc, buffer, traces):
        t = steps - 1 - turn
        m = kernels.row(mask, t)
        # dc_t = dc_{t+1} f_{t+1} + what comes through h_t = o tanh(c_t). The
        # gradient of the last cell has no step behind it.
        after = tf.minimum(t + 1, length - 1)
        o = 0.5 * (ys[t][:, 3 * units :] + 1)
        through_h = o * (1 - tanh_c[t] * tanh_c[t])
        through_h = kernels.where(m, through_h, tf.zeros((), ys.dtype))
        dc = dc * tf.where(turn > 0, forget(after), one) + dh * through_h
        traces = kernels.kept(traces, (dh, dc), m, t)
        dz = tf.concat([dc, dc, dc, dh], axis=-1) * buffer.read(t)
        dh_before = tf.matmul(dz, transposed)
        if mask is not None:
            dh_before += tf.where(m, tf.zeros_like(dh), dh)
        if dhs is not None:
            dh_before += kernels.incoming(dhs, t)
        return turn + 1, dh_before, dc, buffer.write(t, dz), traces

    # The gradients take the place of the factors.
    factor = _factor(cs, ys, tanh_c, mask)
    if not whole:
        run = (tf.range(length) < steps)[:, None, None]
        factor = tf.where(run, factor, tf.zeros((), ys.dtype))
    buffer = kernels.buffer(length, 4 * units, ys.dtype).unstack(factor)
    traces = tuple(kernels.buffer(length, units, ys.dtype) for _ in range(2 * trace))
    _, dh, dc, buffer, traces = tf.while_loop(
        lambda turn, *_: turn < steps, body, (0, dh, dc, buffer, traces)
    )
    dz = buffer.stack()
    hs = _hidden(ys, tanh_c, mask, h0)
    weights = kernels.weight_gradients(h0, hs, rows, kernel, bias, dz)
    traced = (kernels.time_major(b.stack()) for b in traces)
    return dz, dh, dc * forget(0), *weights, *traced


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
    forward = kernels.compiled(_forward, sequences=sequences, keep=training)
    keeping = kernels.compiled(_forward, sequences=False, keep=True)
    backward = kernels.compiled(
        _backward, trace=bool(probes), whole=kernels.runs_all(x, steps)
    )

    @tf.custom_gradient
    def run(x, h0, c0, *rest):
        recurrent, kernel, bias = (*rest[: len(weights)], None, None)[:3]
        weighing = (kernel, bias, recurrent, h0)
        hs, h, c, *kept = forward(x, *weighing, c0, mask, steps)
        outputs = (kernels.time_major(hs), h, c) if sequences else (h, c)

        def gradient(*upstream):
            dhs, dh, dc = upstream if sequences else (None, *upstream)
            dz, *others = kernels.once_differentiable(
                lambda *a: backward(*a, mask, steps),
                *(dhs, dh, dc, *weighing),
                *(kept or keeping(x, *weighing, c0, mask, steps)[3:]),
            )
            return kernels.input_gradient(dz, kernel), *others

        return outputs, gradient

    outputs = run(x, *states, *weights, *probes)
    return outputs if sequences else (None, *outputs)

"""What the fast time loops for TensorFlow share; their gradients are written by hand.

Both recurrences (``tensorflow_lstm.py``, ``tensorflow_rnn.py``) have the form
``z_t = p_t + h_{t-1} R`` followed by arithmetic on single elements, with the input
projections ``p = x W + b`` of all steps computed beforehand. Then

- the forward loop does one small matrix product a step and keeps what the
  gradient needs;
- the backward loop does one small product a step, ``dz_t R^T``, with the factors
  that do not depend on the incoming gradient computed for all steps before it;
- the weight gradients are one large product after the loop,
  ``[H X 1]^T dZ = [dR; dW; db]``.

Projection, loop and weight gradients are compiled with XLA as one piece forward and
one backward. What shapes the code, all of it measured:

- XLA's CPU runtime runs a loop body of at most eight kernels in order, and a
  larger one through a task queue. So the bodies are kept to eight: the loops store
  little, and what can be recomputed for all steps at once is not stored.
- XLA's sigmoid calls a scalar exponential, its tanh is vectorised. As
  sigmoid(x) = (1 + tanh(x / 2)) / 2, one tanh serves all four gates.
- Small layers spend as long on passes over whole sequences as in the loop. So the
  bias is a row of the projection's matrix; the activations are written over the
  projections and the gradients over their factors, which saves filling a buffer
  with zeros; and the four gates' factors are stacked, not concatenated, which XLA
  does in half the time.
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

from functools import cache, partial

import tensorflow as tf

# Tapes can be stopped one by one by public means, all together only by this.
from tensorflow.python.eager.record import stop_recording

_SECOND_ORDER = (
    "seqcore's fast time loop has no second-order gradient. Build the layer with "
    "`unroll=True`, or call it eagerly: both are differentiated by TensorFlow, to "
    "any order."
)


@cache
def compiled(fn, **flags):
    """``fn`` with its flags, compiled by XLA once for each shape it meets.

    It is hidden from tapes, as its gradient is written by hand: for a persistent
    tape, or two at a time, TensorFlow would compile a form that keeps what every
    operation's own gradient needs, which XLA cannot.
    """
    run = tf.function(partial(fn, **flags), jit_compile=True, autograph=False)

    def unrecorded(*args):
        with stop_recording():
            # Inside tf.cond the gradient's graph is another one, and TensorFlow fails
            # to hand a value of the first graph straight to a compiled function.
            return run(*(tf.identity(a) if tf.is_tensor(a) else a for a in args))

    return unrecorded


def once_differentiable(fn, *args):
    """``fn(*args)`` that refuses a second-order gradient; arguments may be None."""

    def refuse(*_):
        raise NotImplementedError(_SECOND_ORDER)

    @tf.custom_gradient
    def run(*given):
        tensors = iter(given)
        return fn(*(None if a is None else next(tensors) for a in args)), refuse

    return run(*(a for a in args if a is not None))


def where(mask, new, old):
    """``new`` where the mask, if there is one, is true, else ``old``."""
    return new if mask is None else tf.where(mask, new, old)


def runs_all(x, steps):
    """Whether ``steps`` are known to be all steps of ``x`` (batch, time, ...)."""
    return isinstance(steps, int) and steps == x.shape[1]


def row(sequence, t):
    """Step ``t`` of a sequence that may be None."""
    return None if sequence is None else sequence[t]


def buffer(length, width, dtype):
    """Rows (batch, width) for ``length`` steps, to be written one a turn."""
    return tf.TensorArray(dtype, length, element_shape=(None, width))


def incoming(dhs, t):
    """The gradient arriving at the output of step ``t - 1``; none before step 0."""
    arriving = dhs[tf.maximum(t - 1, 0)]
    return tf.where(t > 0, arriving, tf.zeros_like(arriving))


def time_major(x):
    """(batch, time, ...) to (time, batch, ...), or back; None stays None."""
    if x is None:
        return None
    return tf.transpose(x, (1, 0, *range(2, len(x.shape))))


def mask_columns(mask):
    """(batch, time) to (time, batch, 1)."""
    return None if mask is None else time_major(mask)[:, :, None]


def inputs_and_ones(x, kernel, bias):
    """``[x 1]``, (time * batch, features + 1): what ``[W; b]`` is multiplied with.

    Without a bias there is no column of ones, without a kernel nothing, as ``x`` is
    the projection already.
    """
    if kernel is None:
        return None
    x = time_major(x)
    if bias is not None:
        x = tf.concat([x, tf.ones_like(x[:, :, :1])], axis=-1)
    return tf.reshape(x, (-1, x.shape[-1]))


def project(x, rows, kernel, bias):
    """``x W + b`` for all steps, time-major, from :func:`inputs_and_ones`."""
    if kernel is None:
        return time_major(x)
    if bias is not None:
        kernel = tf.concat([kernel, bias[None]], axis=0)
    batch, time = tf.unstack(tf.shape(x)[:2])
    return tf.reshape(tf.matmul(rows, kernel), (time, batch, kernel.shape[-1]))


def weight_gradients(h0, hs, rows, kernel, bias, dz):
    """Gradients of recurrent kernel, and of kernel and bias where there are any."""
    units = hs.shape[-1]
    # The state that each step starts from.
    factor = tf.reshape(tf.concat([h0[None], hs[:-1]], axis=0), (-1, units))
    if rows is not None:
        factor = tf.concat([factor, rows], axis=-1)
    dz = tf.reshape(dz, (-1, dz.shape[-1]))
    product = tf.matmul(factor, dz, transpose_a=True)
    gradients = [product[:units]]
    if kernel is not None:
        gradients.append(product[units : units + kernel.shape[0]])
    if bias is not None:
        gradients.append(product[-1])
    return gradients


def input_gradient(dz, kernel):
    """dX = dZ W^T, or dZ where the input was projected already."""
    dx = dz if kernel is None else tf.tensordot(dz, kernel, ((2,), (1,)))
    return time_major(dx)


def kept(traces, values, mask_t, t):
    """Write the states' gradients of step ``t``; zero where it is masked."""
    return tuple(
        trace.write(t, where(mask_t, value, tf.zeros_like(value)))
        for trace, value in zip(traces, values, strict=False)
    )

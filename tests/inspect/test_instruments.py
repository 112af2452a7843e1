"""Gates, memory, spectral radius and receptive field, against what must be so."""

import builtins

import keras
import numpy as np
import pytest

import seqcore
from seqcore import inspect
from tests.inspect.models import data, make


def names_of(model):
    return list(inspect.gate_activations(model, data(model)[0]))


def test_gates_are_the_layers_own_and_aligned_with_the_input():
    layer = keras.layers.Bidirectional(seqcore.LSTM(4, return_sequences=True))
    model = make(layer, mask=True)
    x, _ = data(model, lengths=[3, 7, 5, 1])
    mask = np.any(x != 0, axis=-1)
    found = inspect.gate_activations(model, x)
    forward, backward = found.values()
    assert (forward.backwards, backward.backwards) == (False, True)
    for gates, own in (
        (forward, layer.forward_layer),
        (backward, layer.backward_layer),
    ):
        want = own.inspect(x, mask=mask)
        for key, value in want.items():
            value = value.numpy()[:, ::-1] if own.go_backwards else value.numpy()
            np.testing.assert_allclose(gates[key], value, atol=1e-6)
        assert (gates["f"][0, 3:] == 0).all() and (gates["f"][0, :3] > 0).all()
        assert [gates.length(e) for e in range(4)] == [3, 7, 5, 1]
    with pytest.raises(KeyError, match="candidate"):
        forward["forget"]


def test_looking_on_changes_nothing():
    """Outputs, states of a stateful layer, and the layers' own loop afterwards."""
    layer = seqcore.LSTM(3, stateful=True)
    model = keras.Sequential([keras.Input(batch_shape=(2, 4, 3)), layer])
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    model(x)
    states = [keras.ops.convert_to_numpy(s) for s in layer.states]
    inspect.gate_activations(model, x)
    for state, before in zip(layer.states, states, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(state), before)
    again = np.array(model(x))
    layer.reset_states()
    model(x)
    np.testing.assert_allclose(np.array(model(x)), again, atol=1e-6)


def test_shared_layers_and_nested_models_are_told_apart():
    shared = seqcore.RNN(3, return_sequences=True, name="twice")
    inner_in = keras.Input((5, 3))
    inner = keras.Model(inner_in, seqcore.RNN(2, name="twice")(inner_in))
    x = keras.Input((5, 3))
    model = keras.Model(x, inner(shared(shared(x))))
    assert len(set(names_of(model))) == 3
    assert len(inspect.spectral_radius(model)) == 2


def test_contrast_names_the_unit_that_reacts():
    """A forget gate wired to a flag in the input shuts where the flag is up."""
    model = make(seqcore.LSTM(3, return_sequences=True), steps=10)
    kernel, recurrent, bias = model.layers[0].get_weights()
    kernel[:, 3:6] = 0
    kernel[0, 4] = -8.0  # the forget gate of unit 1, from feature 0
    recurrent[:] = 0
    model.layers[0].set_weights([kernel, recurrent, bias])
    x = np.zeros((2, 10, 3), "float32")
    x[0, [2, 5], 0] = x[1, 7, 0] = 1
    (gates,) = inspect.gate_activations(model, x).values()
    rows = inspect.gate_contrast(gates, [[2, 5], [7]])
    assert rows[0]["unit"] == 1
    assert rows[0]["there"] == pytest.approx(1 / (1 + np.exp(7)), abs=1e-5)
    assert rows[0]["elsewhere"] == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-5)
    assert [row["effect"] for row in rows[1:]] == pytest.approx([0, 0], abs=1e-3)
    for moments, message in (
        ([[2]], "one entry for each of 2"),
        ([[2], [10]], "from 0 to 9"),
        ([[], []], "0 unmasked steps are chosen"),
    ):
        with pytest.raises(ValueError, match=message):
            inspect.gate_contrast(gates, moments)


def test_spectral_radius_of_known_matrices():
    rnn, lstm = seqcore.RNN(2), seqcore.LSTM(2)
    rnn.build((None, None, 1))
    lstm.build((None, None, 1))
    rnn.cell.recurrent_kernel.assign([[0.0, -2.0], [2.0, 0.0]])  # +-2i
    lstm.cell.recurrent_kernel.assign(
        np.hstack([np.eye(2) * s for s in (0.5, -3, 2, 0)])
    )
    assert inspect.spectral_radius(rnn) == {rnn.name: {"h": pytest.approx(2.0)}}
    found = inspect.spectral_radius(lstm)[lstm.name]
    assert found == {"i": 0.5, "f": 3.0, "candidate": 2.0, "o": 0.0}
    rnn.cell.recurrent_kernel.assign([[0.0, np.nan], [2.0, 0.0]])
    assert np.isnan(inspect.spectral_radius(rnn)[rnn.name]["h"])


def delay(memory):
    """A linear RNN that shifts its input along `memory` units and reads the last."""
    layer = seqcore.RNN(memory, activation="linear", return_sequences=True)
    model = keras.Sequential([keras.Input((12, 1)), layer])
    shift = np.diag(np.ones(memory - 1), 1).astype("float32")
    first = np.eye(1, memory, dtype="float32")
    layer.set_weights([first, shift, np.zeros(memory, "float32")])
    return model, layer


def test_memory_of_a_delay_line_is_its_length():
    model, layer = delay(5)
    x = np.ones((2, 12, 1), "float32")
    for of in ("output", "state"):
        memory = inspect.memory_horizon(model, x, of=of)[layer.name]
        assert memory.horizon == 4
        np.testing.assert_allclose(memory.influence, [1] * 5 + [0] * 7)
    last = inspect.memory_horizon(model, x, output=lambda y: y[..., 4:])[layer.name]
    np.testing.assert_allclose(last.influence, np.eye(12)[4])


def test_memory_counts_from_each_examples_last_unmasked_step():
    plain = seqcore.RNN(1, activation="linear")
    model = keras.Sequential([keras.Input((6, 1)), keras.layers.Masking(), plain])
    plain.set_weights([np.ones((1, 1)), np.full((1, 1), 0.5), np.zeros(1)])
    x = np.ones((2, 6, 1), "float32")
    x[0, 4:] = 0
    memory = inspect.memory_horizon(model, x)[plain.name]
    np.testing.assert_allclose(memory.influence, 0.5 ** np.arange(6), rtol=1e-5)
    assert memory.horizon == 5
    with pytest.raises(ValueError, match="of='gate'"):
        inspect.memory_horizon(model, x, of="gate")
    with pytest.raises(ValueError, match="threshold=1"):
        inspect.memory_horizon(model, x, threshold=1)


def test_receptive_field_of_a_convolution_is_its_window():
    image = keras.Input((9, 9, 1))
    conv = keras.layers.Conv2D(2, 3, padding="same", name="conv")
    model = keras.Model(image, conv(image))
    picture = np.random.default_rng(0).normal(size=(9, 9)).astype("float32")
    field = inspect.receptive_field(model, picture, at=(2, 6), channel=1)
    want = np.zeros((9, 9))
    want[1:4, 5:8] = np.abs(conv.get_weights()[0][:, :, 0, 1])
    np.testing.assert_allclose(field, want, atol=1e-6)
    for options, message in (
        ({"at": (9, 0)}, "9, 9"),
        ({"channel": 2}, "channel=2"),
    ):
        with pytest.raises(ValueError, match=message):
            inspect.receptive_field(model, picture, **options)
    with pytest.raises(ValueError, match="expected one image"):
        inspect.receptive_field(model, picture[None, :, :, None])


def test_models_without_our_layers_are_told_what_to_do():
    model = make(keras.layers.LSTM(3))
    x, y = data(model)
    for call in (
        lambda: inspect.gate_activations(model, x),
        lambda: inspect.gradient_flow(model, x, y),
        lambda: inspect.memory_horizon(model, x),
        lambda: inspect.spectral_radius(model),
    ):
        with pytest.raises(ValueError, match=r"seqcore\.convert\(model\)"):
            call()
    assert len(inspect.spectral_radius(seqcore.convert(model))) == 1
    with pytest.raises(ValueError, match=r"Only models with seqcore\.RNN"):
        inspect.spectral_radius(make(keras.layers.Flatten()))
    with pytest.raises(TypeError, match=r"expected a keras\.Model"):
        inspect.gate_activations("model.keras", x)
    with pytest.raises(ValueError, match="no weights yet"):
        inspect.spectral_radius(keras.Sequential([seqcore.LSTM(3)]))


@pytest.mark.parametrize("shape", [(4, 7), (4, 7, 2), (4, 6, 3), (0, 7, 3)])
def test_wrong_shapes_are_named(shape):
    model = make(seqcore.LSTM(3))
    with pytest.raises(ValueError, match=r"shape \(" + str(shape[0])):
        inspect.gate_activations(model, np.zeros(shape, "float32"))


def test_inputs_by_name_go_where_their_names_say():
    """Sorted by name they would be the other way round."""
    words = keras.Input((5,), dtype="int32", name="words")
    pauses = keras.Input((5,), name="pauses")
    vectors = keras.layers.Embedding(4, 3)(words)
    x = keras.layers.Concatenate()([vectors, keras.ops.expand_dims(pauses, -1)])
    model = keras.Model([words, pauses], seqcore.LSTM(2, name="lstm")(x))
    rng = np.random.default_rng(0)
    given = [rng.integers(0, 4, (3, 5)), rng.random((3, 5))]
    listed = inspect.gate_activations(model, given)["lstm"]["i"]
    named = {"words": given[0], "pauses": given[1]}
    for order in (named, dict(reversed(named.items()))):
        found = inspect.gate_activations(model, order)["lstm"]["i"]
        np.testing.assert_array_equal(found, listed)
    with pytest.raises(ValueError, match="named words, pauses; got words, ink"):
        inspect.gate_activations(model, {"words": given[0], "ink": given[1]})

    model = keras.Model({"words": words, "pauses": pauses}, model.outputs)
    found = inspect.gate_activations(model, named)
    np.testing.assert_array_equal(found["lstm"]["i"], listed)


def test_a_model_without_a_loss_asks_for_one():
    model = make(seqcore.LSTM(3))
    model = keras.Model(model.inputs, model.outputs)
    with pytest.raises(ValueError, match="pass loss="):
        inspect.gradient_flow(model, *data(model))


def test_no_matplotlib_says_what_to_install(monkeypatch, tmp_path):
    plain = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    model = make(seqcore.LSTM(3))
    (gates,) = inspect.gate_activations(model, data(model)[0]).values()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        inspect.plot_gates(gates, tmp_path / "gates.png")
    assert not list(tmp_path.iterdir())


def test_every_public_name_is_there():
    for name in inspect.__all__:
        assert getattr(inspect, name).__doc__
    with pytest.raises(AttributeError, match="nothing"):
        _ = inspect.nothing

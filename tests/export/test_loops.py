"""How the loop lowering cuts sequences, and what the loops of a file hold."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import seqcore
from seqcore import LSTM, RNN
from seqcore.export.flatbuffer import operator_name, parse
from seqcore.export.lowerings.loop import Blocking, plan_blocking
from seqcore.export.packing import pack
from seqcore.export.runtime import TFLiteRunner
from tests.export.harness import L, check_everywhere, clip, model_of


def loops(content):
    """The (cond, body) subgraphs of each WHILE of the main graph."""
    model = parse(content)
    return [
        (op.builtinOptions.condSubgraphIndex, op.builtinOptions.bodySubgraphIndex)
        for op in model.subgraphs[0].operators
        if operator_name(model, op) == "WHILE"
    ]


def test_a_long_known_length_is_written_in_blocks_that_share_one_body(tmp_path):
    model = model_of(LSTM(48, return_sequences=True), timesteps=900)
    example = {"input": clip(900)}
    content = check_everywhere(model, tmp_path / "m.tflite", [example], 1e-5)
    found = loops(content)
    assert len(found) > 2
    assert len(set(found)) <= 2  # the steps in front may have a loop of their own
    assert len(parse(content).subgraphs) == 1 + 2 * len(set(found))


def test_a_free_length_of_any_size_is_exact(tmp_path):
    """Lengths around every boundary: of a turn, of a block, of none."""
    model = model_of(LSTM(12, return_sequences=True))
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(model, path, verbose=False)
    runner = TFLiteRunner(path)
    block = plan_blocking(None, 4 * 12, 4 * 12 * 48, True)
    steps = block.unroll * max(1, block.turns)
    assert block.unroll > 1
    assert block.turns > 1
    for length in {1, block.unroll, steps - 1, steps, steps + 1, 2 * steps, 211}:
        x = clip(length, seed=length)
        np.testing.assert_allclose(
            runner({"input": x})["output"], model(x), atol=1e-5, err_msg=str(length)
        )


@pytest.mark.parametrize("timesteps", [1, 2, 7, 37, 50, 97, 100, 200, 997, 1000])
@pytest.mark.parametrize("weight_bytes", [1_000, 200_000, 10**6])
@pytest.mark.parametrize("sequence", [False, True])
def test_blockings_fit_the_length(timesteps, weight_bytes, sequence):
    plan = plan_blocking(timesteps, 512, weight_bytes, sequence)
    turns = plan.turns or timesteps // plan.unroll
    assert 1 <= plan.unroll <= timesteps
    assert turns >= 1
    assert timesteps // (plan.unroll * turns) <= 16
    assert plan.unroll * weight_bytes <= 512 * 1024 or plan.unroll == 1
    if not sequence:
        assert plan == Blocking(plan.unroll)


def test_wide_layers_multiply_in_halves_with_their_weights_in_the_file_once(tmp_path):
    model = model_of(LSTM(129, return_sequences=True), timesteps=6)
    path = tmp_path / "m.tflite"
    content = check_everywhere(model, path, [{"input": clip(6)}], 1e-5)
    shapes = {tuple(t.shape) for g in parse(content).subgraphs for t in g.tensors}
    assert {(4 * 129, 64), (4 * 129, 65)} <= shapes
    assert len(content) < 4 * model.count_params() + 20_000
    free = model_of(LSTM(129, return_sequences=True))
    report = seqcore.export_tflite(free, path, streaming=True, verbose=False)
    assert report.size < 4 * model.count_params() + 30_000


PAIRS = {
    "lstm": lambda: LSTM(9, return_sequences=True),
    "lstm last": lambda: LSTM(9),
    "wide lstm": lambda: LSTM(130),
    "rnn": lambda: RNN(9, return_sequences=True),
    "peephole and projection": lambda: LSTM(
        9, peephole=True, projection_units=5, return_sequences=True
    ),
    "state": lambda: LSTM(9, return_sequences=True, return_state=True),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("timesteps", [None, 26])
def test_both_directions_run_in_one_loop(name, timesteps, tmp_path):
    keras.utils.set_random_seed(0)
    x = keras.Input((timesteps, 6))
    masked = L.Masking()(x) if "lstm" in name else x
    outputs = L.Bidirectional(PAIRS[name]())(masked)
    model = keras.Model(x, outputs)
    example = {"input": clip(26, 6)}
    example["input"][:, [0, 11, 25]] = 0
    content = check_everywhere(model, tmp_path / "m.tflite", [example], 1e-5)
    # A second loop for the steps in front that fill no turn, and no more.
    assert 1 <= len(set(loops(content))) <= 2


def test_directions_of_different_layers_or_with_given_states(tmp_path):
    keras.utils.set_random_seed(0)
    x, state = keras.Input((None, 6)), [keras.Input((5,)) for _ in range(4)]
    unlike = L.Bidirectional(
        LSTM(7, return_sequences=True),
        backward_layer=RNN(7, return_sequences=True, go_backwards=True),
    )
    y = L.Bidirectional(LSTM(5))(unlike(x), initial_state=state)
    model = keras.Model([x, *state], y)
    example = {"input_0": clip(13, 6)}
    example |= {f"input_{n}": clip(1, 5, seed=n)[0] for n in range(1, 5)}
    check_everywhere(model, tmp_path / "m.tflite", [example], 1e-5)


def test_no_loop_carries_a_counter_that_nothing_reads(tmp_path):
    model = model_of(LSTM(12, return_sequences=True), LSTM(12))
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(model, path, verbose=False)
    parsed, checked = parse(path.read_bytes()), 0
    for graph in parsed.subgraphs:
        for op in graph.operators:
            if operator_name(parsed, op) != "WHILE":
                continue
            cond = parsed.subgraphs[op.builtinOptions.condSubgraphIndex]
            body = parsed.subgraphs[op.builtinOptions.bodySubgraphIndex]
            tests = {int(i) for o in cond.operators for i in o.inputs}
            for given, after, tested in zip(
                body.inputs, body.outputs, cond.inputs, strict=True
            ):
                readers = [o for o in body.operators if given in list(o.inputs)]
                own = [list(o.outputs) for o in readers] == [[after]]
                scalar = len(body.tensors[given].shape) == 0
                assert not (own and scalar and int(tested) not in tests)
                checked += 1
    assert checked > 10


@pytest.mark.parametrize("timesteps", [None, 40])
def test_the_place_of_the_next_output_counts_the_turns(timesteps, tmp_path):
    """One comparison tests a loop, and two integer ADDs move it on."""
    model = model_of(LSTM(12, return_sequences=True), timesteps=timesteps)
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(model, path, verbose=False)
    parsed = parse(path.read_bytes())
    writing = 0
    for graph in parsed.subgraphs:
        names = [operator_name(parsed, op) for op in graph.operators]
        if "GATHER" not in names:
            continue
        loop = next(
            op
            for outer in parsed.subgraphs
            for op in outer.operators
            if operator_name(parsed, op) == "WHILE"
            and parsed.subgraphs[op.builtinOptions.bodySubgraphIndex] is graph
        )
        cond = parsed.subgraphs[loop.builtinOptions.condSubgraphIndex]
        assert [operator_name(parsed, op) for op in cond.operators] == ["LESS"]
        tested = list(cond.inputs).index(cond.operators[0].inputs[0])
        write = graph.operators[names.index("DYNAMIC_UPDATE_SLICE")]
        assert write.inputs[2] == graph.inputs[tested]
        integer = schema.TensorType.INT32
        adds = [
            op
            for op, name in zip(graph.operators, names, strict=True)
            if name == "ADD" and graph.tensors[op.outputs[0]].type == integer
        ]
        assert len(adds) == 2
        writing += 1
    assert writing


def test_packing_shares_without_changing_anything(tmp_path):
    model = model_of(LSTM(12, return_sequences=True), L.Dense(3), timesteps=40)
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(model, path, quantize="dynamic", verbose=False)
    content = path.read_bytes()
    again = pack(parse(content))
    assert pack(parse(again)) == again
    x = {"input": clip(40)}
    want = TFLiteRunner(content)(x)["output"]
    np.testing.assert_array_equal(TFLiteRunner(again)(x)["output"], want)


def test_packing_tells_equal_numbers_of_different_types_apart(tmp_path):
    """A softmax's beta of 1.0 and a concatenation's axis 1 have the same place."""
    x = keras.Input((4,))
    both = L.Concatenate(axis=1)([x, L.Activation("tanh")(x)])
    model = keras.Model(x, L.Activation("softmax")(both))
    example = {"input": clip(1, 4)[0]}
    check_everywhere(model, tmp_path / "m.tflite", [example], 1e-6)

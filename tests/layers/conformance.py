"""A pytest plugin that runs Keras's own layer tests on seqcore's layers.

    pytest -p tests.layers.conformance --pyargs keras.src.layers.rnn.lstm_test

Keras's test modules name the layers through ``keras.src.layers``. The names are
bound to seqcore's classes here, before the modules are collected.
"""

from keras.src import layers
from keras.src.layers.rnn import bidirectional

import seqcore

layers.LSTM = seqcore.LSTM
layers.LSTMCell = seqcore.LSTMCell
layers.SimpleRNN = seqcore.RNN
layers.SimpleRNNCell = seqcore.RNNCell
# Bidirectional asks isinstance(layer, LSTM) before it tries a fused kernel.
bidirectional.LSTM = seqcore.LSTM

"""seqcore: recurrent layers for Keras 3 that train fast and export cleanly."""

from seqcore.layers.lstm import LSTM, LSTMCell
from seqcore.layers.rnn import RNN, RNNCell

__all__ = ["LSTM", "RNN", "LSTMCell", "RNNCell"]

"""Text classification: a CSV in, a small file out that reads UTF-8."""

import dataclasses

from apps.core.app import App, Option
from apps.text.config import TextConfig

_LSTM = TextConfig()

APP = App(
    name="text",
    summary="Train and run text classifiers whose exported file takes raw UTF-8.",
    configs={
        "lstm": _LSTM,
        "clstm": dataclasses.replace(_LSTM, model="clstm"),
        "rnn": dataclasses.replace(_LSTM, model="rnn"),
        "dense": dataclasses.replace(_LSTM, model="dense"),
    },
    default_config="lstm",
    task="apps.text.task:TextTask",
    data_help="a .csv, .tsv, .jsonl or fastText .txt file (named train, val or test "
    "it is that split, else it is training data and a tenth of it is set aside for "
    "validation); a folder with such files; a folder with a folder a class of .txt "
    "files; a local copy of SNIPS or BANKING77; or tfds:NAME. Without it: the "
    "language of short sentences, 21 languages, from the chatterbot-corpus package",
    input_help="text files with a text a line (- for standard input)",
    examples="""  python -m apps.text train --workdir runs/languages
  python -m apps.text train --data messages.csv --workdir runs/messages
  python -m apps.text train --data reviews.tsv --text-column review \\
      --label-column stars --workdir runs/reviews
  python -m apps.text evaluate runs/messages/model.tflite --data test.csv --split test
  echo "Where is my card?" | python -m apps.text predict \\
      saved_models/banking77/model.tflite - --explain""",
    options=(
        Option(
            "--text-column",
            "text_column",
            "column with the texts: its name, or its number from 0 without a header",
            verbs=("train", "evaluate"),
            metavar="COLUMN",
        ),
        Option(
            "--label-column",
            "label_column",
            "column with the labels, likewise",
            verbs=("train", "evaluate"),
            metavar="COLUMN",
        ),
        Option(
            "--encoding",
            "encoding",
            "encoding of the data (default: utf-8)",
            verbs=("train", "evaluate"),
            metavar="NAME",
        ),
        Option(
            "--encoding",
            "input_encoding",
            "encoding of the files (default: utf-8, whatever the data was in)",
            verbs=("predict", "inspect"),
            metavar="NAME",
        ),
        Option(
            "--skip-bad",
            "skip_bad",
            "count bad rows and leave them out, in place of stopping at the first",
            verbs=("train", "evaluate"),
            is_switch=True,
        ),
        Option(
            "--whole",
            "whole",
            "score every row of the data, whatever its split",
            verbs=("evaluate",),
            is_switch=True,
        ),
        Option(
            "--length",
            "length",
            "fix model.tflite's input to N bytes, for runtimes that want that",
            verbs=("export",),
            metavar="N",
        ),
        Option(
            "--explain",
            "explain",
            "also show how much every word moved the score of the answer",
            verbs=("predict",),
            is_switch=True,
        ),
    ),
)

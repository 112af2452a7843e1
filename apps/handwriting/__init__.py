"""Handwriting: pen strokes to a symbol, or to connected text."""

from apps.core.app import App, Option, Verb
from apps.handwriting.config import CONFIGS

APP = App(
    name="handwriting",
    summary="Recognises handwriting: pen strokes to a symbol or to text.",
    configs=CONFIGS,
    default_config="words",
    task="apps.handwriting.task:make_task",
    data_help="a folder, archive or file of ink: JSON Lines, UNIPEN (pendigits), "
    "GW-online, IAM-OnDB, InkML, QuickDraw or Omniglot (default: words that a "
    "synthetic writer writes)",
    input_help="ink files (JSON, InkML, UNIPEN, XML, ...)",
    examples="""  python -m apps.handwriting train
  python -m apps.handwriting train --config digits --data pendigits-tra
  python -m apps.handwriting train --config lines --data gw_online/
  python -m apps.handwriting predict model.tflite word.json --lm book.txt
  python -m apps.handwriting show word.json --out word.svg""",
    options=(
        Option(
            "--skip-bad",
            "skip_bad",
            "leave malformed records out, and count them",
            verbs=("train", "evaluate", "export", "predict"),
            is_switch=True,
        ),
        Option(
            "--lm",
            "lm",
            "text file that a character language model learns from",
            verbs=("evaluate", "predict"),
            metavar="FILE",
        ),
        Option(
            "--lm-unit",
            "lm_unit",
            "what one transcript is in it: line (default) or word",
            verbs=("evaluate", "predict"),
            needs="--lm",
            metavar="UNIT",
        ),
        Option(
            "--lm-weight",
            "lm_weight",
            "weight of the language model",
            verbs=("evaluate", "predict"),
            needs="--lm",
            metavar="X",
        ),
        Option(
            "--lexicon",
            "lexicon",
            "text file of the only words allowed",
            verbs=("evaluate", "predict"),
            metavar="FILE",
        ),
        Option(
            "--beam",
            "beam",
            "decode by a beam search of this width (with lm or lexicon: 16)",
            verbs=("evaluate", "predict"),
            implies=("decoder=beam",),
            metavar="N",
        ),
        Option(
            "--length",
            "length",
            "fix model.tflite's input to N points, for runtimes that want that",
            verbs=("export",),
            metavar="N",
        ),
        Option(
            "--val-writers",
            "val_writers",
            "writers of the validation split, by commas",
            verbs=("train", "evaluate"),
            metavar="LIST",
        ),
    ),
    verbs={
        "show": Verb("draw ink, and a prediction over it", "apps.handwriting.show"),
        "transcripts": Verb(
            "write the texts of a split to a file, for --lm and --lexicon",
            "apps.handwriting.transcripts",
        ),
    },
)

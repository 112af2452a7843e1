"""Speech keywords: recordings in, a recogniser for a phone out."""

from apps.core.app import App, Option, Verb
from apps.speech.config import CONFIGS

APP = App(
    name="speech",
    summary="Recognises spoken words (keywords, unknown words, silence) in one "
    "second of sound.",
    configs=CONFIGS,
    default_config="crnn",
    task="apps.speech.task:SpeechTask",
    data_help="a folder with a folder a word, a folder with train.csv/val.csv/"
    "test.csv (columns file,class), files named WORD_SPEAKER_TAKE, or "
    "tfds:speech_commands (default: --words "
    "spoken by the synthetic voices of espeak-ng)",
    input_help="WAV, FLAC or OGG recordings of any rate and channel count",
    examples="""  python -m apps.speech train --words "yes, no" --workdir runs/mine
  python -m apps.speech train --data recordings --workdir runs/recordings
  python -m apps.speech evaluate runs/mine/model.tflite --json
  python -m apps.speech export runs/mine/model.keras --out out --quantize float16
  python -m apps.speech predict runs/mine/model.tflite recording.wav --top 3
  python -m apps.speech train --config stream_crnn --workdir runs/live
  python -m apps.speech listen runs/live/model.tflite""",
    options=(
        Option(
            "--words",
            "words",
            'the keywords, as "yes, no, stop" (default: every word of the data)',
            metavar="LIST",
        ),
        Option(
            "--adapt",
            "adapt",
            "begin with a trained model: a .keras file or the folder of one (see "
            "--config adapt)",
            metavar="MODEL",
        ),
        Option(
            "--noise",
            "noise",
            "folders of recordings of noise that training hears beside the data's "
            "own, comma separated",
            verbs=("train",),
            metavar="DIRS",
        ),
        Option(
            "--val-speakers",
            "val_speakers",
            "speakers that the validation split consists of, comma separated",
            verbs=("train", "evaluate"),
            metavar="LIST",
        ),
        Option(
            "--all-unknown",
            "all_unknown",
            "score every clip of the other words, not only a tenth",
            verbs=("evaluate",),
            is_switch=True,
        ),
        Option(
            "--whole",
            "whole",
            "take the clips of all splits of the data",
            verbs=("evaluate",),
            is_switch=True,
        ),
    ),
    verbs={
        "say": Verb(
            "write a word as a recording by a synthetic voice", "apps.speech.say"
        ),
        "listen": Verb(
            "print the keywords in continuous sound, as they are said",
            "apps.speech.listen",
            runs_models=True,
        ),
        "field-test": Verb(
            "count false accepts and misses in long recordings; set the threshold",
            "apps.speech.field_test",
            runs_models=True,
        ),
        "select": Verb(
            "of a model of many words, make one for some of them",
            "apps.speech.select",
            runs_models=True,
        ),
        "combine": Verb(
            "of several models of the same words, make one that asks them all",
            "apps.speech.combine",
            runs_models=True,
        ),
    },
)

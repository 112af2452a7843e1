"""Recordings from TensorFlow Datasets."""

from collections.abc import Sequence
from typing import Any

from apps.core import builders
from apps.core.errors import UserError
from apps.speech.audio import (
    SAMPLE_RATE,
    from_pcm16,
    loudest_stretch,
    resample,
    to_pcm16,
)
from apps.speech.clips import CLIP_SAMPLES, SILENCE, UNKNOWN, Clip, Recordings

_SPLIT_NAMES = {"train": "train", "validation": "val", "valid": "val", "test": "test"}
_SPECIAL = {"_unknown_": UNKNOWN, "_silence_": SILENCE}


def from_tfds(name: str, splits: Sequence[str]) -> Recordings:
    """The wanted splits of a data set with the features `audio` and `label`.

    Downloads and prepares it where that has not been done. TFDS's environment
    variable TFDS_DATA_DIR says where it lies.

    Raises:
        UserError: no such data set, it cannot be had, or it is no data set of
            spoken words.
    """
    try:
        builder = builders.find_builder(name)
        builder.download_and_prepare()
    except UserError:
        raise
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = lines[0].strip() if lines else type(error).__name__
        raise UserError(f"--data tfds:{name}: cannot be had: {reason[:300]}") from error
    features = builder.info.features
    if not {"audio", "label"} <= set(features) or not hasattr(
        features["label"], "int2str"
    ):
        raise UserError(
            f"--data tfds:{name}: is not a set of spoken words: expected the features "
            f"audio and label, found {', '.join(features)}"
        )
    own_names = {_SPLIT_NAMES.get(split, split): split for split in builder.info.splits}
    wanted = {s if s in own_names else "train" for s in splits if s != "test"}
    wanted |= {"test"} & set(splits) & set(own_names)
    clips = [
        clip
        for split in sorted(wanted & set(own_names))
        for clip in _clips(builder, own_names[split], split)
    ]
    if not clips:
        raise UserError(
            f"--data tfds:{name}: has no {splits[0]} split (it has "
            f"{', '.join(sorted(own_names))})"
        )
    return Recordings(
        clips,
        list,
        {
            "name": f"tfds:{name} {builder.info.version}",
            "citation": " ".join(builder.info.citation.split()),
        },
        f"tfds:{name}",
    )


def _clips(builder: Any, own_name: str, split: str) -> list[Clip]:
    import tensorflow_datasets as tfds

    features = builder.info.features
    rate = getattr(features["audio"], "sample_rate", None) or SAMPLE_RATE
    clips = []
    data = builder.as_dataset(split=own_name, shuffle_files=False)
    for index, example in enumerate(tfds.as_numpy(data)):
        word = features["label"].int2str(int(example["label"]))
        word = _SPECIAL.get(word, word)
        samples = resample(from_pcm16(example["audio"]), rate)
        pcm = to_pcm16(loudest_stretch(samples, CLIP_SAMPLES)[1])
        speaker = example.get("speaker", b"").decode()
        source = f"{own_name}[{index}]"
        clips.append(Clip(word, source, split, speaker, pcm))
    return clips

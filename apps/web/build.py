"""Gathers the page, LiteRT.js and the shipped models into one folder.

The folder needs no server but a static one. In it, `models.json` tells the page
what there is: for each model its panel, its variants and its examples, read from
the files themselves.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apps.core import files
from apps.core.errors import UserError
from seqcore.export.metadata import read_metadata

HERE = Path(__file__).parent
STATIC = ("index.html", "style.css", "icon.svg", "seqcore.js", "sw.js")
STATIC_FOLDERS = ("page", "seqcore")
PACKAGES = HERE / "node_modules" / "@litertjs"
LIST = "models.json"
PANELS = {"handwriting": "draw", "speech": "speak", "text": "type"}
EXAMPLES = {"draw": (".json",), "speak": (".flac", ".wav"), "type": (".txt",)}
MODES = ("symbol", "word", "stream", "clip")
"""In this order the page offers the models of a panel."""
BARE_IMPORT = '"@litertjs/wasm-utils"'


def build(out: Path, saved_models: Path, float_variants: bool = True) -> None:
    """Writes the folder `out`, anew but for exports that are still good.

    What else its `models/` holds from earlier is removed.

    Args:
        out: A folder that `build` wrote before, an empty one, or none yet.
        saved_models: A folder of folders with `model.tflite`.
        float_variants: Also export `model.keras`, where there is one, in float32.

    Raises:
        UserError: LiteRT.js is not installed, there is no model or one that lacks
            metadata, or `out` holds something else.
    """
    if out.exists() and (not out.is_dir() or not _ours(out)):
        raise UserError(f"{out}: not a folder that this command wrote: choose another")
    if not (out / LIST).exists():
        # Tells the next build that the folder is ours, whatever becomes of this one.
        files.write_json(out / LIST, {"models": []})
    for name in STATIC_FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
        # With dates of their own: servers tell by them that a file is another one.
        shutil.copytree(HERE / name, out / name, copy_function=shutil.copyfile)
    for name in STATIC:
        shutil.copy(HERE / name, out / name)
    _copy_litert(out / "vendor" / "litert")
    models = sorted(
        _models(saved_models, out, float_variants),
        key=lambda model: (model["panel"], MODES.index(model["mode"])),
    )
    if not models:
        raise UserError(f"{saved_models}: holds no folder with a model.tflite")
    files.write_json(out / LIST, {"models": models})
    _prune(out, models)
    _write_list(out, models)


def _ours(out: Path) -> bool:
    return (out / LIST).exists() or not any(out.iterdir())


def _prune(out: Path, models: list[dict[str, Any]]) -> None:
    """Removes models and examples of an earlier build that are in this one no more."""
    kept = {out / variant["file"] for model in models for variant in model["variants"]}
    kept |= {out / x.rpartition("?")[0] for model in models for x in model["examples"]}
    # In this order a folder comes after what it holds.
    for path in sorted((out / "models").rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in kept:
            path.unlink()


def _copy_litert(out: Path) -> None:
    """LiteRT.js as plain modules: the one import by bare name becomes a path."""
    core, tools = PACKAGES / "core", PACKAGES / "wasm-utils"
    if not core.is_dir():
        raise UserError(f"LiteRT.js is not installed: run npm ci --prefix {HERE}")
    (out / "wasm").mkdir(parents=True, exist_ok=True)
    code = (core / "dist" / "index.js").read_text(encoding="utf-8")
    if BARE_IMPORT not in code:
        raise UserError(
            f"{core}: does not import {BARE_IMPORT} as version 2.5.3 does: install the "
            f"version of package-lock.json with npm ci --prefix {HERE}"
        )
    code = code.replace(BARE_IMPORT, '"./wasm-utils.js"')
    files.write_text(out / "index.js", _without_map(code))
    code = (tools / "dist" / "index.js").read_text(encoding="utf-8")
    files.write_text(out / "wasm-utils.js", _without_map(code))
    for kind in ("", "_compat"):
        # The second is for browsers without relaxed SIMD; the page loads one of them.
        for suffix in ("js", "wasm"):
            name = f"litert_wasm{kind}_internal.{suffix}"
            shutil.copyfile(core / "wasm" / name, out / "wasm" / name)
    package = json.loads((core / "package.json").read_text(encoding="utf-8"))
    files.write_text(
        out / "NOTICE.txt",
        f"{package['name']} {package['version']}, {package['license']}, "
        f"{package['repository']['url']}\n"
        "Changed: one import by bare name is a relative one; source maps left out.\n",
    )


def _without_map(code: str) -> str:
    lines = code.splitlines(keepends=True)
    return "".join(x for x in lines if not x.startswith("//# sourceMappingURL"))


def _models(saved: Path, out: Path, float_variants: bool) -> Iterator[dict[str, Any]]:
    for source in sorted(saved.glob("*/model.tflite")):
        folder, name = source.parent, source.parent.name
        metadata = read_metadata(source)
        panel = PANELS.get(metadata.get("app", ""))
        if panel is None:
            continue
        _check(metadata, folder)
        if _mode(metadata) == "word" and not (folder / "model.keras").exists():
            raise UserError(
                f"{folder}: holds no model.keras, of which transcribers are exported "
                "for browsers"
            )
        target = out / "models" / name
        target.mkdir(parents=True, exist_ok=True)
        forms = [metadata["seqcore"]["quantize"]]
        if float_variants and (folder / "model.keras").exists():
            forms += ["none"]
        variants = [_file(folder, target, metadata, q) for q in dict.fromkeys(forms)]
        examples = [
            Path(shutil.copyfile(file, target / file.name))
            for file in sorted(folder.iterdir())
            if file.suffix in EXAMPLES[panel]
        ]
        yield {
            "name": name,
            "title": _title(folder),
            "panel": panel,
            "mode": _mode(metadata),
            "labels": len(metadata["labels"]),
            "variants": [_variant(path, out) for path in variants],
            "examples": [
                f"{path.relative_to(out).as_posix()}?{_hash(path)}" for path in examples
            ],
        }


def _check(metadata: dict[str, Any], folder: Path) -> None:
    """That there is all the metadata which the build looks up."""
    needed = ["labels", "seqcore.quantize", "seqcore.weights_sha256"]
    if metadata["app"] == "handwriting":
        needed.append("settings.model")
    for keys in needed:
        value: Any = metadata
        for key in keys.split("."):
            if not isinstance(value, dict) or key not in value:
                raise UserError(
                    f"{folder}: the metadata of its model.tflite lacks {key!r}: export "
                    "it again"
                )
            value = value[key]


def _mode(metadata: dict[str, Any]) -> str:
    """What tells the models of one panel apart."""
    if metadata["app"] == "handwriting":
        return "symbol" if metadata["settings"]["model"] == "classify" else "word"
    return "stream" if "detector" in metadata else "clip"


def _variant(path: Path, out: Path) -> dict[str, Any]:
    return {
        "file": path.relative_to(out).as_posix(),
        "quantize": read_metadata(path)["seqcore"]["quantize"],
        "bytes": path.stat().st_size,
        "hash": _hash(path),
    }


def _file(folder: Path, target: Path, shipped: dict[str, Any], quantize: str) -> Path:
    """The model in one form: the shipped file where that is it and browsers run it,
    else an export of model.keras, which is kept while its weights are the same."""
    name = "float" if quantize == "none" else quantize
    path = target / f"{name}.tflite"
    if quantize == shipped["seqcore"]["quantize"] and _mode(shipped) != "word":
        return Path(shutil.copyfile(folder / "model.tflite", path))
    weights = shipped["seqcore"]["weights_sha256"]
    if path.exists() and read_metadata(path).get("source_sha256") == weights:
        return path
    import importlib

    from apps.core import exporting, recogniser

    print(f"exporting {folder.name}, {name}", flush=True)
    app = importlib.import_module(f"apps.{shipped['app']}").APP
    loaded = recogniser.load(str(folder / "model.keras"), app)
    task = app.make_task(loaded.config(app))
    model: Any = loaded.runner
    streaming = task.streaming
    if _mode(shipped) == "word":
        from apps.web.transcribers import with_filled_output

        model, streaming = with_filled_output(model), False
    metadata = {key: value for key, value in shipped.items() if key != "seqcore"}
    exporting.export_tflite(
        model,
        path,
        quantize,
        metadata | {"source_sha256": weights},
        list(task.probe_inputs()) or None,
        streaming,
        task.stream_chunk,
    )
    return path


def _title(folder: Path) -> str:
    """The heading of the model's card."""
    card = folder / "README.md"
    lines = card.read_text(encoding="utf-8").splitlines() if card.exists() else []
    return next((x[2:].strip() for x in lines if x.startswith("# ")), folder.name)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _write_list(out: Path, models: list[dict[str, Any]]) -> None:
    """`files.js`: what the service worker keeps from the first visit on."""
    static = [out / name for name in STATIC if name != "sw.js"]
    static += [f for name in STATIC_FOLDERS for f in sorted((out / name).iterdir())]
    litert = out / "vendor" / "litert"
    static += [litert / "index.js", litert / "wasm-utils.js"]
    static += sorted((litert / "wasm").glob("litert_wasm_internal.*"))
    static.append(out / LIST)
    digest = hashlib.sha256()
    for path in static:
        digest.update(f"{path.relative_to(out)} {_hash(path)}\n".encode())
    first = ["./", *(path.relative_to(out).as_posix() for path in static)]
    for model in models:
        variant = model["variants"][0]
        first.append(f"{variant['file']}?{variant['hash']}")
    value = {"version": digest.hexdigest()[:12], "first": first}
    files.write_text(
        out / "files.js", f"self.SEQCORE_FILES = {json.dumps(value, indent=1)};\n"
    )

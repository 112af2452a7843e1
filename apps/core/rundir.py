"""The folder of one training run: what is in it and how it survives a kill.

```
config.json        application, preset, data, resolved settings
versions.json      library versions and machine
metrics.jsonl      one object an epoch
tensorboard/       the same for TensorBoard
checkpoint/        the last finished epoch, for --resume
model.keras        the best epoch so far
saved_model/  model.tflite  report.md  figures/  model_card.md   when done
```
"""

import dataclasses
import json
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from apps.core import files
from apps.core.app import App
from apps.core.config import TrainingConfig, from_json, to_json
from apps.core.errors import UserError

LIBRARIES = ("seqcore", "keras", "tensorflow", "ai-edge-litert", "numpy")


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoint"

    @property
    def best_model(self) -> Path:
        return self.path / "model.keras"

    @property
    def report(self) -> Path:
        return self.path / "report.md"

    @classmethod
    def unused(cls, path: str) -> "RunDirectory":
        """An empty or absent folder, for a new run.

        Hidden files do not count: the system's, and those of a start that was killed.

        Raises:
            UserError: the folder holds a run already, or something else.
        """
        run = cls(Path(path))
        if run.config.exists():
            raise UserError(
                f"{path}: holds a run already: add --resume to continue it, "
                "or choose another --workdir"
            )
        if run.path.exists() and (
            not run.path.is_dir()
            or any(not entry.name.startswith(".") for entry in run.path.iterdir())
        ):
            raise UserError(f"{path}: is not an empty folder: choose another --workdir")
        return run

    def start(
        self,
        app: App,
        config_name: str,
        config: TrainingConfig,
        source: str | None,
    ) -> None:
        """Makes the folder a run, by its config.json."""
        files.write_json(
            self.config,
            {
                "app": app.name,
                "config": config_name,
                "data": source,
                "settings": to_json(config),
            },
        )

    @classmethod
    def resume(cls, path: str, app: App) -> tuple["RunDirectory", dict[str, Any]]:
        """An existing run and its config.json, "settings" as a configuration.

        Raises:
            UserError: no run there, or one of another application.
        """
        run = cls(Path(path))
        if not run.config.exists():
            raise UserError(
                f"{path}: there is no run to resume (no config.json): "
                "leave --resume out to start one"
            )
        record = files.read_json(run.config)
        if not isinstance(record, dict):
            raise UserError(f"{run.config}: is damaged: it holds no JSON object")
        if record.get("app") != app.name:
            raise UserError(
                f"{path}: is a run of apps.{record.get('app')}, not apps.{app.name}"
            )
        for key in ("config", "data", "settings"):
            if key not in record:
                raise UserError(f"{run.config}: is damaged: it lacks {key!r}")
        if record["config"] not in app.configs:
            raise UserError(
                f"{run.config}: there is no configuration {record['config']}: "
                "the run was made by another version of seqcore"
            )
        kind = type(app.configs[app.default_config])
        settings = from_json(kind, record["settings"], str(run.config))
        return run, record | {"settings": settings.validated()}

    def note_versions(self) -> None:
        """Writes versions.json, unless an earlier start of the run did."""
        path = self.path / "versions.json"
        if not path.exists():
            files.write_json(path, versions())

    def log(self, history: list[dict[str, Any]]) -> None:
        """Rewrites metrics.jsonl whole: short, and never torn by a kill."""
        files.write_text(
            self.metrics, "".join(json.dumps(row) + "\n" for row in history)
        )

    def history(self) -> list[dict[str, Any]]:
        if not self.metrics.exists():
            return []
        return [json.loads(line) for line in self.metrics.read_text().splitlines()]

    def last_checkpoint(self) -> tuple[int, Path] | None:
        """(epochs finished, folder) of the newest complete checkpoint."""
        found = sorted(self.checkpoints.glob("epoch-*"))
        return (int(found[-1].name[6:]), found[-1]) if found else None

    def checkpoint(self, epoch: int):
        """Context manager: a folder that becomes the checkpoint when complete."""
        return files.replacing(self.checkpoints / f"epoch-{epoch:05d}")

    def prune_checkpoints(self, keep: int) -> None:
        """Removes all but epoch `keep`, and what a kill left half made."""
        for folder in self.checkpoints.iterdir():
            if folder.name != f"epoch-{keep:05d}":
                shutil.rmtree(folder, ignore_errors=True)


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    found["command"] = " ".join(sys.argv)
    return found

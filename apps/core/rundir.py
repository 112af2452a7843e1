"""The folder of one training run: what is in it and how it survives a kill.

```
config.json        application, preset, data, resolved settings
versions.json      library versions and machine
metrics.jsonl      one object an epoch
tensorboard/       the same for TensorBoard
checkpoint/        the last finished epoch, for --resume
model.keras        the best epoch so far
saved_model/  model.tflite  quantized/  report.md  figures/  model_card.md   when done
```
"""

import contextlib
import dataclasses
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from apps.core import files
from apps.core.app import App
from apps.core.config import TrainingConfig, from_json, to_json
from apps.core.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

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
        fingerprint: str,
    ) -> None:
        """Makes the folder a run, by its config.json."""
        files.write_json(
            self.config,
            {
                "app": app.name,
                "config": config_name,
                "data": source,
                "fingerprint": fingerprint,
                "settings": to_json(config),
            },
        )

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other trainings out of the folder, where the system can (not on
        Windows, nor on network drives without locks).

        Raises:
            UserError: one is at work there, or the folder cannot be made.
        """
        new = not self.path.exists()
        files.make_folder(self.path)
        with _locked(self.path):
            try:
                yield
            finally:
                # If nothing came of it; and only by who has the lock.
                if new:
                    with contextlib.suppress(OSError):
                        self.path.rmdir()

    def check_data(self, record: dict[str, Any], fingerprint: str) -> None:
        """Raises:
        UserError: the data is not what the run began with.
        """
        # Runs of before the fingerprint have none.
        if record.get("fingerprint", fingerprint) != fingerprint:
            raise UserError(
                f"{self.path}: the data is not what the run began with: "
                "put it back, or train anew in another --workdir"
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
        kinds = {"config": str, "data": str | None, "settings": dict}
        for key, kind in kinds.items():
            if key not in record:
                raise UserError(f"{run.config}: is damaged: it lacks {key!r}")
            if not isinstance(record[key], kind):
                raise UserError(f"{run.config}: is damaged: {key!r} is {record[key]!r}")
        if record["config"] not in app.configs:
            raise UserError(
                f"{run.config}: there is no configuration {record['config']}: "
                "the run was made by another version of seqcore"
            )
        made = type(app.configs[app.default_config])
        settings = from_json(made, record["settings"], str(run.config))
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
        try:
            lines = self.metrics.read_text(encoding="utf-8").splitlines()
            return [json.loads(line) for line in lines]
        except ValueError as error:
            raise UserError(
                f"{self.metrics}: is damaged: put it back, or train anew in another "
                "--workdir"
            ) from error

    def last_checkpoint(self) -> tuple[int, Path] | None:
        """(epochs finished, folder) of the newest complete checkpoint."""
        found = sorted(self.checkpoints.glob("epoch-" + 5 * "[0-9]"))
        return (int(found[-1].name[6:]), found[-1]) if found else None

    def checkpoint(self, epoch: int):
        """Context manager: a folder that becomes the checkpoint when complete."""
        return files.replacing(self.checkpoints / f"epoch-{epoch:05d}")

    def prune_checkpoints(self, keep: int) -> None:
        """Removes all but epoch `keep`, and what a kill left half made."""
        for folder in self.checkpoints.iterdir():
            if folder.name != f"epoch-{keep:05d}":
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder itself is locked: no file stays behind, whatever happens."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _busy(folder) from error
        except OSError:
            pass  # a network drive without locks
        # Between opening and locking, another may have removed it as empty.
        if not (folder.exists() and os.path.samestat(os.fstat(handle), folder.stat())):
            raise _busy(folder)
        yield
    finally:
        os.close(handle)


def _busy(folder: Path) -> UserError:
    return UserError(
        f"{folder}: another training is at work there: wait for it, or choose another "
        "--workdir"
    )


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    found["command"] = shlex.join(sys.argv)
    return found

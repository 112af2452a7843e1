"""The training loop of every application."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from apps.core import files
from apps.core.averaging import Average
from apps.core.batches import Batches
from apps.core.errors import UserError, first_line
from apps.core.recogniser import DAMAGE
from apps.core.rundir import RunDirectory
from apps.core.task import Data, Task


class _Bar(keras.callbacks.Callback):
    """Progress of one epoch on standard error."""

    def __init__(self, epoch: int, epochs: int, steps: int, note: str):
        super().__init__()
        self.bar = tqdm(
            total=steps,
            desc=f"epoch {epoch + 1}/{epochs}",
            unit="batch",
            postfix=note,
            dynamic_ncols=True,
            leave=False,
        )

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_train_end(self, logs=None):
        self.bar.close()


def make_optimizer(config, steps_per_epoch: int) -> keras.Optimizer:
    """AdamW under a linear warm-up and a cosine to zero."""
    total = config.epochs * steps_per_epoch
    warmup = min(int(config.warmup_epochs * steps_per_epoch), total // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else config.learning_rate,
        decay_steps=max(total - warmup, 1),
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=config.weight_decay,
        epsilon=config.epsilon,
        global_clipnorm=config.gradient_clip or None,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Sets every random state in the model as a function of seed and epoch.

    Checkpoints do not hold them; with this a resumed run draws the dropout
    masks that an unbroken one draws.
    """
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    rng = np.random.default_rng([seed, epoch])
    for state in states:
        state.assign(rng.integers(0, 2**31, size=state.shape).astype(state.dtype))


def build(task: Task, data: Data) -> keras.Model:
    """The model to train, as the seed begins it."""
    keras.utils.set_random_seed(task.config.seed)
    return task.build_model(data)


def fit(
    task: Task,
    data: Data,
    model: keras.Model,
    run: RunDirectory,
    metadata: dict[str, Any],
) -> None:
    """Trains what `build` made from the run's last checkpoint (or the start) to the
    end.

    Leaves the best epoch's model, by `task.monitor` on the validation split (or
    the last epoch's, where the settings say so), in the run's model.keras, with
    `metadata` inside.

    Raises:
        UserError: fewer training examples than one batch can be made of, or a
            loss that is no longer a number.
    """
    config = task.config
    batches = task.training_batches(data.splits["train"])
    if len(batches) == 0:
        raise UserError("the training split is empty")
    trained = task.trained_part(model)
    task.compile(trained, make_optimizer(config, len(batches)))
    trained.optimizer.build(trained.trainable_variables)
    average = Average(trained, config.weight_averaging)
    state: dict[str, Any] = {"best": None, "best_epoch": None, "seconds": 0.0}
    first = 0
    checkpoint = run.last_checkpoint()
    if checkpoint:
        first, folder = checkpoint
        weights = folder / "state.weights.h5"
        try:
            trained.load_weights(weights)
        except DAMAGE as error:
            raise UserError(
                f"{weights}: is damaged, or of another model: train anew in another "
                f"--workdir ({first_line(error)})"
            ) from error
        average.load(folder / "average.npz")
        state = files.read_json(folder / "state.json")
    history = run.history()[:first]
    _check_whole(run, first, len(history))
    from tensorboard.summary import Writer  # after the argument errors: it is slow

    writer = Writer(str(run.path / "tensorboard"))
    for epoch in range(first, config.epochs):
        if _stalled(config, state, epoch):
            tqdm.write(f"no better epoch for {config.patience}: stopped", sys.stderr)
            break
        row = _epoch(task, model, batches, data, epoch, state, average)
        value = row[task.monitor]
        sign = 1 if task.monitor_mode == "max" else -1
        better = state["best"] is None or sign * value > sign * state["best"]
        if better:
            state |= {"best": value, "best_epoch": epoch}
        if better or config.keep == "last":
            with average.in_place():
                save_model(model, run.best_model, metadata)
        history.append(row)
        # Before the checkpoint: a kill between the two costs a row that is made
        # again. The other way round it would be missing for ever.
        run.log(history)
        with run.checkpoint(epoch + 1) as folder:
            folder.mkdir()
            trained.save_weights(folder / "state.weights.h5")
            average.save(folder / "average.npz")
            (folder / "state.json").write_text(json.dumps(state))
        run.prune_checkpoints(epoch + 1)
        for name, number in row.items():
            if name not in ("epoch", "n"):
                writer.add_scalar(name, number, epoch)
        writer.flush()
        mark = "  *" if state["best_epoch"] == epoch else ""
        tqdm.write(
            f"epoch {epoch + 1:3d}/{config.epochs}  loss {row['train_loss']:.4f}  "
            f"val {task.monitor} {value:.4f}  {row['seconds']:.1f} s{mark}",
            sys.stderr,
        )
    writer.close()


def _check_whole(run: RunDirectory, epochs: int, logged: int) -> None:
    """Raises:
    UserError: the run has a checkpoint, but not what was written before it.
    """
    if logged < epochs:
        missing = run.metrics
    elif epochs and not run.best_model.exists():
        missing = run.best_model
    else:
        return
    raise UserError(
        f"{missing}: {epochs} epochs are checkpointed, but it is missing or cut short: "
        "put it back, or train anew in another --workdir"
    )


def _stalled(config, state: dict[str, Any], epoch: int) -> bool:
    best = state["best_epoch"]
    return bool(config.patience and best is not None) and (
        epoch - best > config.patience
    )


def _epoch(
    task: Task,
    model: keras.Model,
    batches: Batches,
    data: Data,
    epoch: int,
    state: dict[str, Any],
    average: Average,
) -> dict[str, Any]:
    """One epoch of training and its validation; returns the row to log."""
    config = task.config
    part = task.trained_part(model)
    begin = time.perf_counter()
    batches.epoch = epoch
    reseed(model, config.seed, epoch)
    best = "" if state["best"] is None else f"best {task.monitor} {state['best']:.4f}"
    bar = _Bar(epoch, config.epochs, len(batches), best)
    logs = part.fit(
        batches, epochs=1, verbose=0, shuffle=False, callbacks=[bar, average]
    )
    loss = float(logs.history["loss"][-1])
    if not np.isfinite(loss):
        raise UserError(
            f"the loss became {loss} in epoch {epoch + 1}: "
            "try a smaller --set learning_rate or gradient_clip"
        )
    trained = time.perf_counter()
    with average.in_place():
        outputs = task.outputs(model, data.splits["val"])
    found = task.metrics(data.splits["val"], outputs, data.labels)
    row: dict[str, Any] = {"epoch": epoch + 1, "train_loss": loss}
    row |= {k: v for k, v in found.items() if isinstance(v, int | float)}
    row["learning_rate"] = float(part.optimizer.learning_rate)
    row["train_seconds"] = round(trained - begin, 3)
    row["seconds"] = round(time.perf_counter() - begin, 3)
    state["seconds"] += row["seconds"]
    return row


def save_model(model: keras.Model, path: Path, metadata: dict[str, Any]) -> None:
    """Writes a .keras file that carries `metadata`, whole or not at all."""
    from seqcore.export import write_metadata

    with files.replacing(path) as temporary:
        model.save(temporary)
        write_metadata(temporary, metadata)

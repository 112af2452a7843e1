"""Writing files so that no reader ever sees half of one."""

import contextlib
import errno
import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apps.core.errors import UserError, first_line

_UNWRITABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM,
    errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG,
}  # fmt: skip


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary sibling of `path`; renames it onto `path` on success.

    Serves files and folders. Whatever happens inside, `path` is afterwards the
    old one or the complete new one. (Only a kill between the two renames that a folder
    takes leaves the old one beside it, as `.NAME.XXXXXXXX.old`.) The temporary keeps
    the suffix of `path`, because Keras and others choose a format by it.

    Raises:
        UserError: the folder cannot be created or written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    make_folder(path.parent)
    try:
        yield temporary
        if path.is_dir() and temporary.is_dir():
            old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
            path.rename(old)
            try:
                temporary.rename(path)
            except OSError:
                old.rename(path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.replace(path)
    except OSError as error:
        # Another file that is missing is no failure to write this one.
        if error.errno is not None and error.errno not in _UNWRITABLE:
            raise
        raise _cannot_write(path, error) from error
    except _native_errors() as error:
        raise _cannot_write(path, error) from error
    finally:
        if os.path.isdir(temporary):
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _native_errors() -> tuple[type[Exception], ...]:
    """What TensorFlow and libsndfile raise where a file cannot be written.

    Looked up when something has gone wrong: importing TensorFlow takes seconds.
    """
    found: list[type[Exception]] = []
    if tensorflow := sys.modules.get("tensorflow"):
        errors = tensorflow.errors
        found += [errors.ResourceExhaustedError, errors.PermissionDeniedError]
    if soundfile := sys.modules.get("soundfile"):
        found.append(soundfile.LibsndfileError)
    return tuple(found)


def _cannot_write(path: Path, error: BaseException) -> UserError:
    reason = error.strerror if isinstance(error, OSError) else None
    return UserError(f"{path}: cannot be written: {reason or first_line(error)}")


def make_folder(path: Path) -> None:
    """Makes `path` and the folders above it, where they are missing.

    Raises:
        UserError: it cannot be made, or is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def write_text(path: str | os.PathLike, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Raises:
    UserError: the file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from error

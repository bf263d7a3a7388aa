# SPDX-License-Identifier: Apache-2.0
"""A camera that shows the pictures of a folder, one picture file, or a video file."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

from facelatch.camera.image_file import check_image, is_image, read_image
from facelatch.camera.media_file import require_file, unreadable, unusable
from facelatch.camera.protocol import Frame, Image
from facelatch.camera.video_file import read_video
from facelatch.errors import CameraError, CameraFault

_Images = Generator[Image, None, None]
_Source = Callable[[], Iterator[Image]]
"""Starts one pass over the pictures."""


class ReplayCamera:
    """Frames from files.

    The path is resolved at each ``open()``, so a symbolic link may be switched between attempts; what is open keeps
    showing what the link led to.

    Args:
        path: a folder of pictures (shown in natural order: 2 before 10; names that begin with a dot and folders
            inside it are left out), one picture, or a video.
        loop: start over at the end; otherwise the end is ``CameraError(UNPLUGGED)``.
        fps: frames a second; None gives them as fast as they are read.
        clock: monotonic seconds.
        sleep: waits that many seconds.
    """

    live = False

    def __init__(
        self,
        path: Path,
        *,
        loop: bool = True,
        fps: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._loop = loop
        self._interval = 0.0 if fps is None else 1.0 / fps
        self._clock = clock
        self._sleep = sleep
        self._images: _Images | None = None

    @property
    def name(self) -> str:
        """The path, as configured."""
        return f"replay of {self._path}"

    def check(self) -> None:
        """Check that every file of a folder is a picture, or decode the first picture of a single file.

        Raises:
            CameraError: ``MISCONFIGURED`` or ``NO_PERMISSION``, naming the first file that is to blame.
        """
        path = _resolve(self._path)
        if path.is_dir():
            for image in _list_images(path):
                check_image(image)
        else:
            with closing(_once(_source(path))) as images:
                next(images)

    def open(self) -> None:
        """Look afresh at where the path leads.

        Raises:
            CameraError: ``MISCONFIGURED`` or ``NO_PERMISSION``: nothing there, or an empty folder or file.
        """
        self.close()
        source = _source(_resolve(self._path))
        self._images = _for_ever(source) if self._loop else _once(source)
        self._sequence = 0
        self._due = self._clock()

    def read(self) -> Frame:
        """Return the next picture, when it is due.

        Raises:
            CameraError: ``MISCONFIGURED`` or ``NO_PERMISSION``: a file cannot be read; ``UNPLUGGED``: the end.
        """
        image = None if self._images is None else next(self._images, None)
        if image is None:
            raise CameraError(CameraFault.UNPLUGGED, f"{self.name} is at its end", "open it again, or let it loop")
        self._sleep_until_due()
        frame = Frame(image, self._sequence, self._clock())
        self._sequence += 1
        return frame

    def _sleep_until_due(self) -> None:
        now = self._clock()
        if now < self._due:
            self._sleep(self._due - now)
        # Time lost to a slow reader is not made up for by a burst.
        self._due = max(self._due, now) + self._interval

    def close(self) -> None:
        """Let go of the files."""
        if self._images is not None:
            self._images.close()
            self._images = None


def _once(source: _Source) -> _Images:
    yield from source()


def _for_ever(source: _Source) -> _Images:
    while True:
        yield from source()


def _source(path: Path) -> _Source:
    if path.is_dir():
        files = _list_images(path)
        return lambda: map(read_image, files)
    require_file(path)
    if is_image(path):
        return lambda: map(read_image, [path])
    return lambda: read_video(path)


def _resolve(path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except OSError as error:
        raise unreadable(path, error) from error
    except RuntimeError as error:  # what Python before 3.13 says to links in a circle
        raise unusable(f"{path} is a symbolic link to itself", "correct the link") from error


def _list_images(folder: Path) -> list[Path]:
    try:
        files = [path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir()]
    except OSError as error:
        raise unreadable(folder, error) from error
    if not files:
        raise unusable(f"folder {folder} holds no picture", "put pictures there, or correct the path")
    return sorted(files, key=natural_order)


def natural_order(path: Path) -> tuple[list[int | str], str]:
    """Sort key of file names by which 2 comes before 10."""
    # Splitting at numbers gives text and number in turn, so like is compared with like.
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], path.name

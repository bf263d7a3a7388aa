# SPDX-License-Identifier: Apache-2.0
"""The replay camera: real files of many kinds, and everything that can be wrong with them."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facelatch.camera import Frame, Image, opened
from facelatch.camera.image_file import MAX_FILE_BYTES, announced_size, read_image
from facelatch.camera.media_file import MAX_SIDE_PX
from facelatch.camera.replay import ReplayCamera
from facelatch.errors import CameraError, CameraFault

RED = (200, 10, 20)


def picture(rgb: tuple[int, int, int] = RED, height: int = 24, width: int = 32) -> Image:
    return np.full((height, width, 3), rgb, dtype=np.uint8)


def save(path: Path, image: NDArray[np.uint8 | np.uint16], extension: str = ".png") -> Path:
    """Save an RGB, RGBA or grey picture in a format that the name need not tell."""
    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    encoded = cv2.cvtColor(image, order[image.shape[2]]) if image.ndim == 3 else image
    found, data = cv2.imencode(extension, encoded)
    assert found
    path.write_bytes(data.tobytes())
    return path


def save_levels(folder: Path, **levels: int) -> None:
    for name, level in levels.items():
        save(folder / f"{name}.png", picture((level, level, level)))


def save_video(path: Path, levels: list[int]) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 24))
    assert writer.isOpened()
    for level in levels:
        writer.write(picture((level, level, level)))
    writer.release()
    return path


def read_levels(camera: ReplayCamera, number: int) -> list[int]:
    """Return the first pixel's level of so many frames, rounded as MJPEG is not exact."""
    with opened(camera):
        return [round(int(camera.read().image[0, 0, 0]) / 10) * 10 for _ in range(number)]


def test_a_frame_is_rgb_and_numbered(tmp_path: Path) -> None:
    save(tmp_path / "a.png", picture())
    camera = ReplayCamera(tmp_path)
    assert not camera.live
    with opened(camera):
        first, second = camera.read(), camera.read()
    assert first.image.shape == (24, 32, 3)
    assert first.image.dtype == np.uint8
    assert tuple(first.image[0, 0]) == RED
    assert (first.sequence, second.sequence) == (0, 1)
    assert second.time >= first.time


def test_a_frame_shows_no_pixels_in_its_repr() -> None:
    assert repr(Frame(picture(), 3, 1.5)) == "Frame(sequence=3, time=1.5)"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp", "noextension", "lies.mp4"])
def test_names_do_not_matter(tmp_path: Path, name: str) -> None:
    extension = Path(name).suffix if Path(name).suffix not in ("", ".mp4") else ".png"
    save(tmp_path / name, picture(), extension)
    camera = ReplayCamera(tmp_path)
    camera.check()
    with opened(camera):
        assert np.abs(camera.read().image[12, 16].astype(int) - RED).max() < 8


def test_grey_alpha_and_16_bits_become_rgb(tmp_path: Path) -> None:
    save(tmp_path / "1", np.full((24, 32), 77, dtype=np.uint8))
    save(tmp_path / "2", np.dstack([picture(), np.zeros((24, 32), dtype=np.uint8)]))
    save(tmp_path / "3", np.full((24, 32), 77 * 257, dtype=np.uint16))
    camera = ReplayCamera(tmp_path)
    with opened(camera):
        pixels = [tuple(camera.read().image[0, 0]) for _ in range(3)]
    assert pixels == [(77, 77, 77), RED, (77, 77, 77)]


def test_natural_order(tmp_path: Path) -> None:
    save_levels(tmp_path, frame10=30, frame9=20, frame1=10, other2=40)
    save_levels(tmp_path, frame010=30)
    (tmp_path / "sub").mkdir()
    save(tmp_path / ".hidden.png", picture((250, 250, 250)))
    assert read_levels(ReplayCamera(tmp_path), 6) == [10, 20, 30, 30, 40, 10]


def test_names_that_mix_numbers_and_text_are_ordered(tmp_path: Path) -> None:
    save_levels(tmp_path, **{"10": 10, "a": 20, "a1b": 30, "a1": 40, "é2": 50, "²": 60})
    assert sorted(read_levels(ReplayCamera(tmp_path), 6)) == [10, 20, 30, 40, 50, 60]


def test_without_loop_the_end_is_an_error(tmp_path: Path) -> None:
    save_levels(tmp_path, a=10, b=20)
    camera = ReplayCamera(tmp_path, loop=False)
    assert read_levels(camera, 2) == [10, 20]
    with pytest.raises(CameraError, match="is at its end") as caught:
        read_levels(camera, 3)
    assert caught.value.fault is CameraFault.UNPLUGGED


def test_each_open_starts_afresh(tmp_path: Path) -> None:
    save_levels(tmp_path, a=10, b=20)
    camera = ReplayCamera(tmp_path)
    assert read_levels(camera, 1) == [10]
    with opened(camera):
        assert camera.read().sequence == 0


def test_a_link_may_be_switched_between_attempts(tmp_path: Path) -> None:
    for name, level in (("alice", 10), ("bob", 200)):
        (tmp_path / name).mkdir()
        save_levels(tmp_path / name, a=level, b=level)
    link = tmp_path / "link"
    link.symlink_to("alice")
    camera = ReplayCamera(link)
    with opened(camera):
        assert int(camera.read().image[0, 0, 0]) == 10
        link.unlink()
        link.symlink_to("bob")
        assert [int(camera.read().image[0, 0, 0]) for _ in range(3)] == [10, 10, 10]
    assert read_levels(camera, 1) == [200]


def test_a_single_picture(tmp_path: Path) -> None:
    camera = ReplayCamera(save(tmp_path / "photo.jpg", picture((100, 100, 100)), ".jpg"))
    camera.check()
    assert read_levels(camera, 3) == [100, 100, 100]


def test_a_video_loops(tmp_path: Path) -> None:
    path = save_video(tmp_path / "video.avi", [50, 100, 150])
    camera = ReplayCamera(path)
    camera.check()
    assert read_levels(camera, 7) == [50, 100, 150, 50, 100, 150, 50]


def test_a_video_is_rgb_and_ends(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 24))
    writer.write(cv2.cvtColor(picture(), cv2.COLOR_RGB2BGR))
    writer.release()
    camera = ReplayCamera(tmp_path / "v.avi", loop=False)
    with opened(camera):
        assert np.abs(camera.read().image[12, 16].astype(int) - RED).max() < 12
        with pytest.raises(CameraError, match="is at its end"):
            camera.read()


class FakeTime:
    """A clock that only sleeping and working move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_frames_come_when_they_are_due(tmp_path: Path) -> None:
    save_levels(tmp_path, a=10)
    time = FakeTime()
    camera = ReplayCamera(tmp_path, fps=10, clock=time.clock, sleep=time.sleep)
    with opened(camera):
        times = [camera.read().time for _ in range(4)]
    assert times == pytest.approx([100.0, 100.1, 100.2, 100.3])
    assert time.slept == pytest.approx([0.1, 0.1, 0.1])


def test_a_slow_reader_gets_no_burst(tmp_path: Path) -> None:
    save_levels(tmp_path, a=10)
    time = FakeTime()
    camera = ReplayCamera(tmp_path, fps=10, clock=time.clock, sleep=time.sleep)
    with opened(camera):
        camera.read()
        time.now += 5.0
        times = [camera.read().time for _ in range(3)]
    assert times == pytest.approx([105.0, 105.1, 105.2])


def test_without_fps_nothing_sleeps(tmp_path: Path) -> None:
    save_levels(tmp_path, a=10)
    time = FakeTime()
    read_levels(ReplayCamera(tmp_path, clock=time.clock, sleep=time.sleep), 5)
    assert time.slept == []


def test_reading_a_closed_camera(tmp_path: Path) -> None:
    save_levels(tmp_path, a=10)
    camera = ReplayCamera(tmp_path)
    camera.close()
    with pytest.raises(CameraError, match="is at its end: open it"):
        camera.read()
    camera.open()
    camera.close()
    camera.close()
    with pytest.raises(CameraError, match="is at its end: open it"):
        camera.read()


def test_a_video_is_released_at_close(tmp_path: Path) -> None:
    path = save_video(tmp_path / "video.avi", [50, 100])

    def open_files() -> list[str]:
        return [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]

    camera = ReplayCamera(path)
    camera.open()
    camera.read()
    assert str(path) in open_files()
    camera.close()
    assert str(path) not in open_files()


def refuse(camera: ReplayCamera, message: str, fault: CameraFault = CameraFault.MISCONFIGURED) -> None:
    """Check that the daemon is told at its start, and again when an attempt comes to that file."""
    with pytest.raises(CameraError, match=message) as at_start:
        camera.check()
    with pytest.raises(CameraError, match=message) as at_attempt:
        read_levels(camera, 10)
    assert at_start.value.fault is fault
    assert at_attempt.value.fault is fault


def test_a_missing_path(tmp_path: Path) -> None:
    refuse(ReplayCamera(tmp_path / "none"), "none does not exist: correct the path")


def test_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    refuse(ReplayCamera(tmp_path / "link"), "does not exist")
    refuse(ReplayCamera(tmp_path), "link does not exist")


def test_a_link_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")
    refuse(ReplayCamera(tmp_path / "link"), "link (is a symbolic link to itself|cannot be read)")


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / ".hidden").touch()
    (tmp_path / "sub").mkdir()
    refuse(ReplayCamera(tmp_path), "holds no picture: put pictures there")


@pytest.mark.parametrize("alone", [True, False])
def test_an_empty_file(tmp_path: Path, alone: bool) -> None:
    save_levels(tmp_path, a=10)
    (tmp_path / "b.png").touch()
    refuse(ReplayCamera(tmp_path / "b.png" if alone else tmp_path), r"b\.png is empty: remove it")


def test_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a picture\n" * 20)
    refuse(ReplayCamera(tmp_path), r"notes\.txt is not a picture: remove it")
    refuse(ReplayCamera(tmp_path / "notes.txt"), r"notes\.txt is neither a picture nor a video")


def test_a_damaged_picture(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:60])
    refuse(ReplayCamera(path), r"a\.png is a damaged picture: remove it")
    camera = ReplayCamera(tmp_path)
    camera.check()  # of a folder only the beginnings are looked at
    with opened(camera), pytest.raises(CameraError, match=r"a\.png is a damaged picture"):
        camera.read()


def test_a_damaged_video(tmp_path: Path) -> None:
    path = save_video(tmp_path / "video.avi", [50])
    path.write_bytes(path.read_bytes()[:200])
    refuse(ReplayCamera(path), r"video\.avi is neither a picture nor a video")


def test_a_pipe_and_a_device_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refuse(ReplayCamera(tmp_path / "pipe"), "pipe is not a file")
    refuse(ReplayCamera(tmp_path), "pipe is not a file")
    refuse(ReplayCamera(Path("/dev/zero")), "zero is not a file")


def test_a_name_that_brings_opencv_down(tmp_path: Path) -> None:
    save(tmp_path / os.fsdecode(b"\xff.png"), picture())
    refuse(ReplayCamera(tmp_path), "is not UTF-8: rename it")


def test_a_file_we_may_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_levels(tmp_path, a=10)
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, who may read everything
    refuse(ReplayCamera(tmp_path), r"not allowed to read .*a\.png", CameraFault.NO_PERMISSION)


def test_a_picture_removed_while_open(tmp_path: Path) -> None:
    save_levels(tmp_path, a=10, b=20)
    camera = ReplayCamera(tmp_path)
    with opened(camera):
        camera.read()
        (tmp_path / "b.png").unlink()
        with pytest.raises(CameraError, match=r"b\.png does not exist"):
            camera.read()


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + bytes(64)


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(png_header(30_000, 30_000))
    wide = picture(height=1, width=MAX_SIDE_PX + 1)
    save(tmp_path / "b.jpg", wide, ".jpg")
    with monkeypatch.context() as patched:
        patched.delattr(cv2, "imdecode")
        for name in ("a.png", "b.jpg"):
            with pytest.raises(CameraError, match=r"is too large \([0-9]+ x [0-9]+ pixels\): scale it down"):
                read_image(tmp_path / name)
    # Formats whose header we do not read are measured once decoded.
    with pytest.raises(CameraError, match=r"is too large \(4097 x 1 pixels\)"):
        read_image(save(tmp_path / "c.bmp", wide, ".bmp"))
    assert read_image(save(tmp_path / "d", picture(height=1, width=MAX_SIDE_PX))).shape == (1, MAX_SIDE_PX, 3)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", picture())
    os.truncate(path, MAX_FILE_BYTES + 1)
    refuse(ReplayCamera(tmp_path), r"a\.png is too large a file: use pictures of at most 64 MiB")


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_announced_size(tmp_path: Path, extension: str) -> None:
    data = save(tmp_path / "a", picture(height=24, width=32), extension).read_bytes()
    assert announced_size(data) == (32, 24)
    for length in range(len(data)):  # a cut header is no size, and no exception
        assert announced_size(data[:length]) in (None, (32, 24))


def test_announced_size_of_anything_else() -> None:
    for data in (b"", b"\xff\xd8", b"\xff\xd8\xff\xff\xff\xff", b"\xff\xd8\xff\xe0\x00\x00" * 3, b"BM", bytes(100)):
        assert announced_size(data) is None

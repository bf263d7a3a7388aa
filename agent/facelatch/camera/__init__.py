# SPDX-License-Identifier: Apache-2.0
"""Cameras: one small protocol and its back ends. Everything a user of them needs is here."""

from facelatch.camera.factory import BACKENDS, make_camera
from facelatch.camera.protocol import Camera, Frame, Image, opened
from facelatch.camera.watched import Watched
from facelatch.camera.wrapper import CameraWrapper

__all__ = ["BACKENDS", "Camera", "CameraWrapper", "Frame", "Image", "Watched", "make_camera", "opened"]

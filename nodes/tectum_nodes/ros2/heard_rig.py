"""The rig of a robot as ROS 2 says it: cameras from `CameraInfo`, frames from /tf_static.

Cameras are called as the outputs of their pictures. Decides, does no I/O.
"""

from __future__ import annotations

import json
from typing import Any

from tectum_nodes.ros2.cdr import Cdr
from tectum_nodes.ros2.rig_messages import camera_of, frames_of

__all__ = ["HeardRig"]


class HeardRig:
    """What was heard so far."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._frames: dict[str, Any] = {}
        self._cameras: dict[str, Any] = {}

    def take_camera(self, output: str, data: memoryview) -> tuple[bool, str]:
        """Take the `CameraInfo` of an output; return whether it is news, and what is wrong.

        Raises:
            DataError: it is no such message.
        """
        camera, trouble = camera_of(Cdr(data), output, rectified=False)
        if camera is None or self._cameras.get(output) == camera:
            return False, trouble
        self._cameras[output] = camera
        return True, trouble

    def take_frames(self, data: memoryview) -> bool:
        """Take what /tf_static says; return whether it is news.

        Raises:
            DataError: it is no such message.
        """
        before = dict(self._frames)
        self._frames |= frames_of(Cdr(data))
        return self._frames != before

    def __contains__(self, output: str) -> bool:
        """Return whether the camera of an output was heard."""
        return output in self._cameras

    def of(self, output: str) -> dict[str, Any]:
        """Return the rig of one camera alone, with all frames."""
        return {"frames": dict(self._frames), "cameras": {output: self._cameras[output]}}

    def text(self) -> str:
        """Return the whole rig as a file that a graph's `rig` can name (JSON, which is YAML)."""
        return json.dumps({"frames": self._frames, "cameras": self._cameras}, indent=1) + "\n"

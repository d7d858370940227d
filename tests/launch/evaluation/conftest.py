"""A recording of a few messages."""

import numpy as np
import pytest

from tectum.message import Kind
from tectum.recording.writer import LogWriter
from tectum.testing.messages import make_message


@pytest.fixture
def short_log(tmp_path):
    path = tmp_path / "short.mcap"
    with LogWriter(path) as writer:
        for seq in range(3):
            at_ns = 1_795_000_000_000_000_000 + seq * 100_000_000
            array = np.zeros(1, np.float32)
            message = make_message(
                "imu/tensor", Kind.TENSOR, array, seq=seq, stamp_ns=at_ns, names=["gyro"]
            )
            writer.write(message, at_ns)
    return path

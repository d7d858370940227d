"""Times that a recording lacks, because its recorder had died."""

from __future__ import annotations

from typing import NamedTuple

from tectum.recording.moments import moment_text
from tectum.units import duration_text

__all__ = ["Gap"]


class Gap(NamedTuple):
    """A time in which nobody recorded, because the recorder was started again."""

    file: str
    """The first that was written afterwards."""
    begin_ns: int
    """Log time of the last record before; 0: there is none."""
    end_ns: int
    """Log time of the first record afterwards; 0: there is none."""

    def sentence(self) -> str:
        """Return it for a person."""
        text = f"{self.file}: the recorder was started again"
        if not (self.begin_ns and self.end_ns):
            return text
        lasted = duration_text(max(0, self.end_ns - self.begin_ns))
        times = f"from {moment_text(self.begin_ns)} to {moment_text(self.end_ns)}"
        return f"{text}; nothing was recorded for {lasted}, {times}"

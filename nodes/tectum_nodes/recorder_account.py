"""What a recorder says of its recording: counts, for a program, and a sentence for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tectum.message import Value
from tectum.transport.inbox import MISSING_CAUSES
from tectum_nodes.log_thread import LogThread

__all__ = ["Account"]


@dataclass(frozen=True, slots=True)
class Account:
    """What came of a recording so far."""

    files: tuple[str, ...]
    messages: int
    nbytes: int
    """Of records, before compression."""
    left_out: int
    """Messages that could not be written in time, or came after recording had stopped."""
    refused: int
    """Messages that could not be stored."""
    never_came: int
    """Messages that were lost on the way to the recorder."""
    lost: Mapping[str, int]
    """The same by cause, as far as publishers have said so yet; `unexplained`: nobody knows."""
    stopped: str
    """Why recording has ended early; empty: it has not."""

    @classmethod
    def of(
        cls, thread: LogThread, gaps: Counter[str], counters: Mapping[str, Mapping[str, Value]]
    ) -> Account:
        """Return the account of what `thread` has written; `counters` are the subscriber's."""
        lost: Counter[str] = Counter()
        for row in counters.values():
            for cause in MISSING_CAUSES:
                count = row.get(cause, 0)
                lost[cause] += count if isinstance(count, int) else 0
        return cls(
            thread.files,
            thread.written,
            thread.written_bytes,
            thread.left_out,
            thread.refused,
            gaps.total(),
            dict(+lost),
            thread.stopped,
        )

    @property
    def clean(self) -> bool:
        """Return whether nothing is missing."""
        return not (self.left_out or self.refused or self.never_came or self.stopped)

    def sentence(self) -> str:
        """Return the account for a person."""
        more = f" to {self.files[-1]}" if len(self.files) > 1 else ""
        words = [f"{self.messages} messages, {self.nbytes / 1e6:.1f} MB"]
        words += [f"{self.left_out} left out"] if self.left_out else []
        words += [f"{self.refused} could not be stored"] if self.refused else []
        words += [f"{self.never_came} never came{self._why()}"] if self.never_came else []
        words += [f"stopped early: {self.stopped}"] if self.stopped else []
        return f"recorded into {self.files[0]}{more}: {'; '.join(words)}"

    def _why(self) -> str:
        causes = ", ".join(f"{count} {cause}" for cause, count in self.lost.items())
        return f" ({causes})" if causes else ""

    def document(self) -> dict[str, Value]:
        """Return the account as it stands in the report of a run."""
        return {
            "files": list(self.files),
            "messages": self.messages,
            "bytes": self.nbytes,
            "left_out": self.left_out,
            "refused": self.refused,
            "never_came": self.never_came,
            "lost": dict(self.lost),
            "stopped": self.stopped,
            "sentence": self.sentence(),
        }

"""A recording through a graph's fusion node in this process: real answers, in virtual time.

    for result in tectum_launch.embed_log("driving", "drive.mcap"): ...

Decisions are those of `tectum replay --mode simulate`: a function of the log, the graph and the
recorded durations, whatever the speed of this machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tectum.errors import DataError
from tectum.inference.stage import Stage
from tectum.message import Message, Sample, SampleRef, Value
from tectum.node.virtual import VirtualShell
from tectum.pipeline.events import Arrived, Missed
from tectum.pipeline.plan import Plan
from tectum.recording.reader import LogReader
from tectum.recording.replay import scenario_of
from tectum.recording.series_reader import open_log
from tectum.result_stream import Result
from tectum.sync.fault_line import INJECTED, faulted
from tectum.sync.faults import Fault
from tectum_launch.compile import load_graph
from tectum_launch.desk import Desk
from tectum_launch.embedding import fusion_node, load_stages
from tectum_launch.stage_times import StageTimes

__all__ = ["EmbeddedLog", "embed_log"]


def embed_log(
    graph: str, log: str | Path, settings: Iterable[str] = (), *, node: str = ""
) -> EmbeddedLog:
    """Return the results of a recording, to be iterated once; arguments as for `embed`.

    Raises:
        ConfigError: the graph is wrong, or has no such fusion node.
        ModelError: a model is missing or not what its manifest says.
    """
    compiled = load_graph(graph, settings)
    return EmbeddedLog(*load_stages(compiled, fusion_node(compiled, node)), Path(log))


class EmbeddedLog:
    """The results of a recording, computed as they are asked for."""

    def __init__(
        self,
        plan: Plan,
        stages: dict[str, Stage],
        log: Path,
        *,
        times: StageTimes | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:
        """Read nothing yet.

        Args:
            plan: of the fusion node.
            stages: loaded.
            log: the recording.
            times: what is known of how long stages take, beside the recording.
            faults: what goes wrong with the inputs on their way.
        """
        self.plan, self.stages = plan, stages
        self._log, self._faults = log, faults
        self._times = times or StageTimes()
        self._desk = Desk(plan, stages)

    def __iter__(self) -> Iterator[Result]:
        """Yield every result, shed triggers included; the models are given back at the end.

        Raises:
            DataError: the log cannot be read, or lacks what an input needs.
        """
        try:
            with open_log(self._log) as reader:
                yield from self._results(reader)
        finally:
            for stage in self.stages.values():
                stage.close()

    def _results(self, reader: LogReader) -> Iterator[Result]:
        times, desk = self._times, self._desk
        scenario = scenario_of(reader, self.plan, durations=times.table, claims=times.claims)
        events = faulted(scenario.events, self._faults) if self._faults else scenario.events
        stored = _Stored(reader, self.plan)
        desk.shell = shell = VirtualShell(
            self.plan, self.stages, scenario.durations, desk, desk.failed
        )
        for event in events:
            shell.advance(event.now_ns)
            if isinstance(event, Arrived):
                shell.push(event.sample.ref.input, stored.message(event.sample))
            else:
                if isinstance(event, Missed) and event.cause == INJECTED:
                    stored.leave_out(event)
                shell.take(event)
            yield from desk.take()
        for item in self.plan.inputs:
            shell.end(item.name)
        shell.settle()
        desk.end()
        yield from desk.take()

    @property
    def digest(self) -> str:
        """Return the digest of all decisions so far."""
        return self._desk.digest

    def report(self) -> dict[str, Value]:
        """Return the core of a report: outcomes, latency, inputs, digest."""
        return self._desk.report()


class _Stored:
    """Messages of a log by what a journal calls them; each is read once, in order."""

    def __init__(self, reader: LogReader, plan: Plan) -> None:
        self._inputs: dict[str, list[str]] = {}
        for item in plan.inputs:
            self._inputs.setdefault(item.topic, []).append(item.name)
        self._records = reader.messages(list(self._inputs))
        self._read: dict[SampleRef, Message] = {}
        self._unwanted: set[SampleRef] = set()

    def message(self, sample: Sample) -> Message:
        """Return the message of `sample`, with the stamp that the sample has."""
        ref = sample.ref
        while ref not in self._read:
            record = next(self._records, None)
            if record is None:
                msg = f"the log has no message {ref.seq} for input '{ref.input}', though it came"
                raise DataError(msg)
            header = record.message.header
            for name in self._inputs[header.topic]:
                self._keep(SampleRef(name, header.incarnation, header.seq), record.message)
        message = self._read.pop(ref)
        if message.header.stamp_ns == sample.stamp_ns:
            return message
        return Message(message.header._replace(stamp_ns=sample.stamp_ns), message.payloads)

    def leave_out(self, missed: Missed) -> None:
        """Keep no message that never came."""
        for seq in range(missed.first_seq, missed.first_seq + missed.missing):
            ref = SampleRef(missed.input, missed.incarnation, seq)
            if self._read.pop(ref, None) is None:
                self._unwanted.add(ref)

    def _keep(self, ref: SampleRef, message: Message) -> None:
        if ref in self._unwanted:
            self._unwanted.remove(ref)
        else:
            self._read[ref] = message

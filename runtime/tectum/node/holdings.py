"""What orders refer to: messages by sample, outputs by run. Kept until the pipeline frees them.

Runs take what they are given here when they are made ready or begin, in whatever thread that is;
lanes put there what runs gave, so that one that follows may take it at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from tectum.inference.blend import blended
from tectum.inference.stage import Cancelled, Cut, StageArg, StageOutput, Tensor
from tectum.message import Message, SampleRef
from tectum.pipeline.orders import Of, Picked, Start
from tectum.pipeline.plan import Plan

__all__ = ["Holdings"]


class Holdings:
    """The messages and outputs of one shell."""

    __slots__ = ("_messages", "_offsets_ns", "_outputs", "_stamps_ns")

    def __init__(self, plan: Plan) -> None:
        """Hold nothing."""
        self._offsets_ns = {item.name: item.offset_ns for item in plan.inputs}
        self._messages: dict[SampleRef, Message] = {}
        self._outputs: dict[int, StageOutput] = {}
        self._stamps_ns: dict[int, int] = {}
        """Of the newest sample that each output is made from."""

    def take_up(self, ref: SampleRef, message: Message) -> None:
        """Keep a message that came."""
        self._messages[ref] = message

    def expect(self, order: Start) -> None:
        """Take up that a run was ordered."""
        self._stamps_ns[order.run] = self._newest_ns(order)

    def keep(self, run: int, output: StageOutput) -> None:
        """Keep what a run gave; called from its lane."""
        self._outputs[run] = output

    def state_of(self, run: int) -> Mapping[str, Tensor] | None:
        """Return the state that a run carries on."""
        return self._outputs[run].state

    def answer(self, run: int) -> StageOutput:
        """Return what a head's run gave, with the stamp of its trigger."""
        return _stamped(self._outputs[run], self._stamps_ns[run], 0)

    def args_of(self, order: Start) -> dict[str, StageArg]:
        """Return what a run takes.

        Raises:
            Cancelled: a run whose result it takes failed, or was ended early.
        """
        args: dict[str, StageArg] = {}
        for arg in order.args:
            if isinstance(arg, Picked):
                messages = tuple([self._messages[ref] for ref in arg.refs])
                cut = Cut(messages, arg.begin, arg.length, arg.weight_ppm)
                args[arg.input] = cut if arg.weight_ppm < 0 else blended(cut)
            elif isinstance(arg, Of):
                args[arg.input] = self._output_for(arg, order.stamp_ns)
            else:
                args[arg.input] = None
        return args

    def free(self, what: SampleRef | int) -> None:
        """Give back a message, or what a run gave."""
        if isinstance(what, int):
            del self._stamps_ns[what]
            output = self._outputs.pop(what, None)
            if output is not None:
                output.release()
            return
        message = self._messages.pop(what, None)
        if message is not None:
            message.release()

    def _output_for(self, arg: Of, trigger_ns: int) -> StageOutput:
        if arg.run not in self._outputs:
            raise Cancelled
        stamp_ns = self._stamps_ns[arg.run]
        age_ns = trigger_ns - stamp_ns + self._offsets_ns[arg.input]
        return _stamped(self._outputs[arg.run], stamp_ns, age_ns)

    def _newest_ns(self, start: Start) -> int:
        """Return the stamp of the newest sample that a run takes; the trigger's for the head."""
        newest_ns = -1
        for arg in start.args:
            if isinstance(arg, Picked):
                for ref in arg.refs:
                    newest_ns = max(newest_ns, self._messages[ref].header.stamp_ns)
        return newest_ns if newest_ns >= 0 else start.stamp_ns


def _stamped(output: StageOutput, stamp_ns: int, age_ns: int) -> StageOutput:
    """Return `output` with what only the shell knows: when it was captured, and how old it is."""
    return StageOutput(output.arrays, output.facts, output.state, output.held, stamp_ns, age_ns)

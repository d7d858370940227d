"""A program in any language as a node of a graph: it speaks the wire, and we pass that on.

The wire is that of docs/wire.md. The program is started when the graph begins and told where to
publish by its environment: `TECTUM_ENDPOINT` (an endpoint of its own, to bind), `TECTUM_NODE` (the
first part of its topics), `TECTUM_OFFSET_NS` (graph clock minus monotonic clock), `TECTUM_RUN` (the
run's directory). What it says is checked at this border, numbered anew and published as this node's
own, large payloads in shared memory; what it loses on the way here is named. What it prints is said
in the node's name. Where it ends with an error, or is frozen (SIGSTOP), so does the node.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from tectum.clock import NS_PER_MS, NS_PER_S
from tectum.errors import DeviceError
from tectum.message import Kind, Message
from tectum.node.base import Announcement, Context, Node, NodeConfig
from tectum.node.fields import Rate
from tectum.repeated import has_doubled
from tectum.transport.endpoint import ipc_endpoint
from tectum.transport.subscriber import ZmqSubscriber

__all__ = ["ProgramNode"]

_WAIT_NS = 20 * NS_PER_MS
_FROZEN_NS = 500 * NS_PER_MS
"""A program that was stopped for so long is taken to be lost."""
_GRACE_S = 0.3
"""How long a program that was asked to end may take."""


class ProgramConfig(NodeConfig):
    """Which program it is and what it publishes."""

    command: Annotated[str, Field(min_length=1)]
    """The program and its arguments, as in a shell, but without one: `./publisher --size 640`."""
    outputs: Annotated[dict[str, Kind], Field(min_length=1)]
    """Output -> kind of its messages: {image: image}."""
    rate: Rate | None = None
    """How often each output speaks, where that is known."""


class ProgramNode(Node):
    """Runs a program and publishes what it says; it has no language but the wire's."""

    Config = ProgramConfig
    config: ProgramConfig
    on_exit: ClassVar[str] = "continue"

    @classmethod
    def outputs_of(cls, config: ProgramConfig) -> Mapping[str, Kind]:
        """Return the outputs that the graph says the program has."""
        return config.outputs

    @classmethod
    def period_ns_of(cls, config: ProgramConfig) -> Mapping[str, int]:
        """Return the period of every output, where the rate is given."""
        return dict.fromkeys(config.outputs, round(NS_PER_S / config.rate)) if config.rate else {}

    def open(self, context: Context) -> None:
        """Find the program, and listen where it will speak."""
        self._words = shlex.split(self.config.command)
        self._process: subprocess.Popen[bytes] | None = None
        self._wrong = self._frozen_ns = 0
        program = shutil.which(self._words[0])
        if program is None:
            where = f"to run (from {os.getcwd()})"
            msg = f"{context.name}: there is no program {self._words[0]!r} {where}"
            raise DeviceError(msg)
        self._words[0] = program
        self._endpoint = ipc_endpoint(context.folder, f"{context.name}.in")
        topics = tuple(f"{context.name}/{output}" for output in self.config.outputs)
        self._ear = ZmqSubscriber(
            context.name, [self._endpoint], topics, context.clock, nodes=[context.name]
        )

    def run(self, context: Context) -> None:
        """Start the program and pass on what it says until it ends or the graph stops."""
        environment = {**os.environ, **self._told(context)}
        self._process = subprocess.Popen(self._words, env=environment, stdin=subprocess.DEVNULL)
        while not context.stopping:
            self._ear.wait(_WAIT_NS)
            ended = self._process.poll()  # before draining: nothing is said after it
            self._drain(context)
            context.serve(context.clock.now_ns())
            if ended is not None:
                self._say_end(context, ended)
                return
            self._refuse_frozen(context)

    def close(self) -> None:
        """End the program."""
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if hasattr(self, "_ear"):
            self._ear.close()

    def _told(self, context: Context) -> dict[str, str]:
        return {
            "TECTUM_ENDPOINT": self._endpoint,
            "TECTUM_NODE": context.name,
            "TECTUM_OFFSET_NS": str(context.run.get("offset_ns", 0)),
            "TECTUM_RUN": str(context.folder),
        }

    def _drain(self, context: Context) -> None:
        for received in self._ear.drain():
            if received.gap is not None:
                output = received.gap.topic.partition("/")[2]
                context.name_loss(output, "program", received.gap.missing)
            if received.message is not None:
                self._pass_on(context, received.message)

    def _pass_on(self, context: Context, message: Message) -> None:
        header = message.header
        output = header.topic.partition("/")[2]
        if header.kind is Kind.PROMISE:
            begun = header.fields.get("begun") is True
            context.announce(Announcement(output, header.stamp_ns, begun=begun))
        elif header.kind is Kind.END:
            context.end(output)
        elif header.kind is Kind.LATCHED:
            context.latch(output, header.fields)
        elif header.kind is not self.config.outputs[output]:
            self._refuse(context, output, header.kind)
        else:
            context.publish(
                output,
                header.kind,
                tuple(message.array(index) for index in range(len(message.payloads))),
                stamp_ns=header.stamp_ns,
                span_ns=header.span_ns,
                error_ns=header.error_ns,
                frame_id=header.frame_id,
                fields=header.fields,
            )
        message.release()

    def _refuse(self, context: Context, output: str, kind: Kind) -> None:
        """Count a message of another kind than the graph says; say so when the count doubles."""
        self._wrong += 1
        context.name_loss(output, "wrong_kind")
        if has_doubled(self._wrong):
            wanted = self.config.outputs[output]
            text = "%s: refused %d messages of kind %s; the graph says that it is %s"
            context.log.warning(text, output, self._wrong, kind, wanted)

    def _refuse_frozen(self, context: Context) -> None:
        """Give a program up that somebody has stopped: what it would say is of another time."""
        assert self._process is not None, "it was started"
        if not hasattr(os, "waitid"):  # not everywhere
            return
        options = os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT
        state = os.waitid(os.P_PID, self._process.pid, options)
        now_ns = context.clock.now_ns()
        if state is None or state.si_code not in (os.CLD_STOPPED, os.CLD_TRAPPED):
            self._frozen_ns = 0
        elif not self._frozen_ns:
            self._frozen_ns = now_ns
        elif now_ns - self._frozen_ns >= _FROZEN_NS:
            msg = (
                f"{context.name}: {self.config.command!r} is stopped (SIGSTOP), and goes on no more"
            )
            raise DeviceError(msg)

    def _say_end(self, context: Context, code: int) -> None:
        if code:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            msg = f"{context.name}: {self.config.command!r} {how}"
            raise DeviceError(msg)
        for output in self.config.outputs:
            context.end(output)

"""Names in a fusion node that stand for its inputs or groups: each has to be one of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tectum_launch.accept_schema import Combination
from tectum_launch.document import Document
from tectum_launch.findings import KeyPath, allowed_names
from tectum_launch.fusion_schema import FusionConfig
from tectum_launch.head_schema import HeadConfig

__all__ = ["FusionNames"]


@dataclass(frozen=True, slots=True)
class FusionNames:
    """Checks one fusion node."""

    document: Document
    path: KeyPath
    config: FusionConfig

    def check(self) -> None:
        """Report names of inputs and groups that do not exist, and inputs that no head takes."""
        config, path = self.config, self.path
        for group, members in config.groups.items():
            for index, member in enumerate(members):
                self._known((*path, "groups", group, index), member, config.inputs)
        self._check_accept(path, config.accept, tuple(config.inputs))
        if config.head:
            self._check_weights((*path, "head"), config.head)
        taken: set[str] = set()
        for name, head in (config.heads or {}).items():
            where: KeyPath = (*path, "heads", name)
            own = config.inputs if head.inputs is None else head.inputs
            taken.update(own)
            for index, item in enumerate(head.inputs or ()):
                self._known((*where, "inputs", index), item, config.inputs)
            self._check_accept(where, head.accept, tuple(own))
            self._check_weights(where, head, tuple(own))
        for name in config.inputs if config.heads else ():
            if name not in taken:
                heads = ", ".join(config.heads or ())
                message = f"no head takes {name!r}: add it to the `inputs` of one ({heads})"
                self.document.report((*path, "inputs", name), message, key=True, value=name)

    def _check_accept(
        self, path: KeyPath, accept: tuple[Combination, ...], inputs: tuple[str, ...]
    ) -> None:
        groups = self.config.groups
        for index, combination in enumerate(accept):
            for name, count in combination.at_least.items():
                where, members = (*path, "accept", index), groups.get(name, (name,))
                if not self._known(where, name, (*inputs, *groups), "input or group"):
                    continue
                for member in members if name in groups else ():
                    if member in self.config.inputs:  # else it was told at the group
                        self._known(where, member, inputs)
                if count > len(members):
                    message = f"at_least {count} of {name!r}, which has {len(members)}"
                    self.document.report(where, message, value=count)

    def _check_weights(
        self, path: KeyPath, head: HeadConfig, inputs: tuple[str, ...] | None = None
    ) -> None:
        for name in head.late.weights if head.late else ():
            self._known((*path, "late", "weights", name), name, inputs or tuple(self.config.inputs))

    def _known(self, path: KeyPath, name: str, known: Collection[str], what: str = "input") -> bool:
        """Report a name that is none of `known`; return whether it is one."""
        if name in known:
            return True
        message = f"no {what} is called {name!r}{allowed_names(name, tuple(known))}"
        self.document.report(path, message, value=name)
        return False

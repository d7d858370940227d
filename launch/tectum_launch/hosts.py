"""Graphs over several hosts: which node runs where, and at which ports hosts reach each other.

Every host launches the same file with `--host NAME` and starts its own nodes. All endpoints follow
from the file: node number n listens for other hosts at `port` + 1 + n, the launcher answers for the
host's clock at `port`. Without `--host` everything runs here, as if no host were named.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tectum.clock import NS_PER_MS, Clock
from tectum.errors import ConfigError, nearest_name
from tectum.message import Kind
from tectum.transport.clock_exchange import ClockServer
from tectum.transport.endpoint import tcp_endpoint
from tectum.transport.keys import read_keys
from tectum.transport.security import Insecure, Secured, Security
from tectum_launch.document import Document
from tectum_launch.findings import allowed_names
from tectum_launch.schema import GraphConfig

if TYPE_CHECKING:
    from tectum_launch.graph import Graph, GraphNode, Topic

__all__ = ["Hosts", "answering_for_the_clock", "hosts_of"]

_WAIT_NS = 50 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts of a graph, as seen from one of them."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    insecure: bool = False
    links: Mapping[str, int] = field(default_factory=dict)
    """Topic -> JPEG quality of its pictures on the way to other hosts."""
    here: str = ""
    """Which of them this is; empty: everything runs here."""

    def seen_from(self, here: str) -> Hosts:
        """Return the same for the host called `here`.

        Raises:
            ConfigError: the graph has no such host.
        """
        if here not in self.addresses:
            known = ", ".join(self.addresses) or "none"
            hint = nearest_name(here, self.addresses)
            msg = f"--host {here}: the graph's `hosts:` has {known}{hint}"
            raise ConfigError(msg)
        return replace(self, here=here)

    def is_here(self, host: str) -> bool:
        """Return whether what runs on `host` runs here."""
        return not self.here or host == self.here

    def endpoint(self, host: str, number: int) -> str:
        """Return where node `number` of `host` is reached by others; -1: the host's clock."""
        return tcp_endpoint(self.addresses[host], self.port + 1 + number)

    def security(self) -> Security:
        """Return by what connections between hosts are secured.

        Raises:
            ConfigError: this host has no keys, or others can read them.
        """
        return Insecure() if self.insecure else Secured(read_keys())

    def refuse_strangers(self, graph: Graph) -> None:
        """Raise a ConfigError where the key of a host that is heard is not known here."""
        security = self.security()
        if isinstance(security, Secured):
            for node in graph.nodes:
                if not self.is_here(node.host):
                    security.keys.of(node.host)

    def record(self, graph: Graph, node: GraphNode, hearers: list[GraphNode]) -> dict[str, Any]:
        """Return what `run.json` says of `node` because of other hosts."""
        number = graph.nodes.index(node)
        if not self.is_here(node.host):
            return {"endpoint": self.endpoint(node.host, number), "host": node.host}
        far = [other for other in hearers if not self.is_here(other.host)]
        if not far:
            return {}
        heard = {topic for other in far for topic in other.subscribes}
        own = [topic.name for topic in node.publishes if topic.name in heard]
        links = {topic: self.links[topic] for topic in own if topic in self.links}
        return {"remote": self.endpoint(node.host, number), "links": links}

    def document(self) -> dict[str, Any]:
        """Return what `run.json` says of the hosts."""
        clocks = {host: self.endpoint(host, -1) for host in self.addresses if host != self.here}
        return {"here": self.here, "clocks": clocks, "insecure": self.insecure}


def hosts_of(document: Document, config: GraphConfig, topics: Mapping[str, Topic]) -> Hosts:
    """Return the hosts that a graph with these topics names; what is wrong is reported."""
    _check_links(document, config, topics)
    for host, address in config.hosts.items():
        try:
            tcp_endpoint(address, config.port)
        except ConfigError:
            message = f"{address!r} is not the one numeric address of a host, such as 192.168.1.20"
            document.report(("hosts", host), message, value=address)
    for name, entry in config.nodes.items():
        wanted = entry.get("host")
        if wanted is not None and wanted not in config.hosts:
            hint = nearest_name(str(wanted), config.hosts)
            message = f"`hosts:` has no host {wanted!r}{hint}"
            document.report(("nodes", name, "host"), message, value=wanted)
    links = {topic: link.jpeg for topic, link in config.links.items()}
    return Hosts(dict(config.hosts), config.port, config.insecure, links)


def _check_links(document: Document, config: GraphConfig, topics: Mapping[str, Topic]) -> None:
    for name in config.links:
        topic = topics.get(name)
        if topic is None:
            message = f"no node publishes {name!r}{allowed_names(name, topics)}"
        elif topic.kind is not Kind.IMAGE:
            message = f"{name} is of kind {topic.kind}: only pictures (image) become JPEG"
        else:
            continue
        document.report(("links", name), message, key=True, value=name)


@contextmanager
def answering_for_the_clock(graph: Graph, clock: Clock) -> Iterator[None]:
    """Let other hosts ask what this one's graph clock shows, in a thread."""
    hosts = graph.hosts
    if not hosts.here or all(hosts.is_here(node.host) for node in graph.nodes):
        yield
        return
    hosts.refuse_strangers(graph)
    server = ClockServer(hosts.endpoint(hosts.here, -1), clock, security=hosts.security())
    ended = threading.Event()

    def answer() -> None:
        while not ended.is_set():
            server.wait(_WAIT_NS)
            server.serve()
        server.close()

    thread = threading.Thread(target=answer, name="clock server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

"""What a subscriber knows: per topic and publisher's life, what came, what is missing, and why.

Pure bookkeeping for every transport. A hole in the sequence numbers is a gap, reported in its
place. A gap is explained where the publisher states that a queue was full from there on, or where
this side refused a message; the rest is `unexplained`. Messages of one publisher arrive in order,
so what a statement counts and has not come by then never will.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tectum.message import Header, Kind, Message, Value
from tectum.transport.base import Gap, Received
from tectum.transport.outbox import STATEMENT

__all__ = ["MISSING_CAUSES", "Inbox"]

LIVES_KEPT = 16
"""Accounts kept per topic; of a publisher that restarts more often the oldest are summed up."""
_PAST = -1
"""The key of that sum among the incarnations, which are not negative."""
OTHER = "?"
"""Where messages are counted whose topic cannot be read or was not asked for."""
CAUSES = ("overtaken", "skipped", "disconnected")
"""What this side may name as the cause of a loss of its own."""
MISSING_CAUSES = ("queue_full", *CAUSES, "refused_here", "unexplained")
"""What becomes of published messages that were not received: with `received` they add up."""
_STATEMENT, _LATCHED, _PROMISE, _END = Kind.STATEMENT, Kind.LATCHED, Kind.PROMISE, Kind.END
_OF_STATEMENTS = f"/{STATEMENT}"


@dataclass(slots=True)
class _Account:
    """One topic in one life of its publisher."""

    base: int = -1
    """The first number meant for this subscriber; -1: not known yet."""
    expected: int = 0
    """The number that comes next."""
    received: int = 0
    nbytes: int = 0
    missing: int = 0
    queue_full: int = 0
    joined: int = -1
    """The number at which this subscriber joined, as its publisher last said; -1: not yet."""
    stated: tuple[int, int] = (0, 0)
    """What the last two statements counted."""
    named: dict[str, int] = field(default_factory=dict)
    """Messages that this side lost itself, by cause."""
    duplicates: int = 0
    latched: int = -1
    """Number of the newest constant fact that was handed out."""
    ended: bool = False
    final: bool = False
    lost: dict[str, int] = field(default_factory=dict)
    """Losses that the publisher named itself, before a message had a number."""
    open_gaps: list[tuple[int, int]] = field(default_factory=list)
    """First number and size of gaps that nobody has claimed."""

    def begin(self, seq: int) -> None:
        """Let this account begin at `seq` if it has not begun."""
        if self.base < 0:
            self.base = self.expected = seq

    def miss_until(self, seq: int) -> tuple[int, int] | None:
        """Return first number and size of the hole before `seq`, and count it."""
        hole = seq - self.expected
        if hole <= 0:
            return None
        gap = (self.expected, hole)
        self.expected = seq
        self.missing += hole
        self.open_gaps = [*self.open_gaps[-255:], gap]
        return gap

    def absorb(self, past: _Account) -> None:
        """Add the counts of an earlier life; its order no longer matters."""
        self.base, self.expected = 0, self.expected - max(self.base, 0) + past.published
        self.received += past.received
        self.nbytes += past.nbytes
        self.missing += past.missing
        self.queue_full += past.queue_full
        self.duplicates += past.duplicates
        _add(self.lost, past.lost)
        _add(self.named, past.named)

    @property
    def published(self) -> int:
        """Return how many messages were meant for this subscriber, as far as it knows."""
        return self.expected - max(self.base, 0)

    def claim(self, starts: Sequence[int]) -> None:
        """Explain gaps in which a queue was found full: from that number to the gap's end."""
        unclaimed: list[tuple[int, int]] = []
        for first, size in self.open_gaps:
            inside = [start for start in starts if first <= start < first + size]
            rest = min(inside, default=first + size) - first
            self.queue_full += size - rest
            if rest:
                unclaimed.append((first, rest))
        self.open_gaps = unclaimed

    def rejoin(self, seq: int) -> None:
        """Explain the hole that lies before number `seq`, where this subscriber joined once more.

        Its connection had been lost: nothing that was said meanwhile was for it. Messages may have
        come before its publisher took up that it joined, as many as that one likes; so it is the
        last hole that began before `seq`. What began before the last statement but one was missing
        already when there was a connection: the last one may have come on the new connection,
        before the publisher had heard all that is subscribed there.
        """
        left: list[tuple[int, int]] = []
        begin = -1
        while self.open_gaps and self.open_gaps[-1][0] >= self.stated[0]:
            first, size = self.open_gaps.pop()
            if begin in {-1, first + size} and first < seq:
                begin, named = first, min(size, seq - first)
                self.named["disconnected"] = self.named.get("disconnected", 0) + named
                left += [(first + named, size - named)] if size > named else []
            else:
                left.append((first, size))
        self.open_gaps += reversed(left)


class Inbox:
    """The accounts of one subscriber."""

    def __init__(self, name: str, topics: Sequence[str]) -> None:
        """Keep accounts of `topics` for the subscriber called `name`."""
        self._name = name
        self._topics = frozenset(topics)
        self._accounts: dict[str, dict[int, _Account]] = {topic: {} for topic in topics}
        self._refused: dict[str, int] = {}

    def take(self, message: Message) -> list[Received]:
        """Return what the subscriber hands out for `message`: gaps before it, and itself."""
        header = message.header
        kind, topic, seq = header.kind, header.topic, header.seq
        if kind is _STATEMENT and topic.endswith(_OF_STATEMENTS):
            return self._statement(message)
        if topic not in self._topics:
            self.refuse(OTHER)
            return []
        account = self._accounts[topic].get(header.incarnation)
        if account is None or account.base < 0:
            account = self._account(topic, header.incarnation)
            account.begin(seq)
        if kind is _PROMISE or kind is _END:
            account.ended |= kind is _END
            return [*self._gap(header, account, seq), Received(message)]
        if seq < account.expected:
            return self._repeated(message, account)
        if kind is _LATCHED:
            account.latched = seq
        gaps = self._gap(header, account, seq) if seq > account.expected else ()
        account.expected = seq + 1
        account.received += 1
        for payload in message.payloads:
            account.nbytes += payload.nbytes
        return [*gaps, Received(message)]

    def lose(self, header: Header, cause: str) -> list[Received]:
        """Return what is handed out in place of a message that this side loses itself."""
        if header.topic not in self._topics:
            self.refuse(OTHER)
            return []
        account = self._account(header.topic, header.incarnation)
        account.begin(header.seq)
        if header.seq < account.expected:
            account.duplicates += 1
            return []
        gaps = self._gap(header, account, header.seq)
        account.expected = header.seq + 1
        account.missing += 1
        account.named[cause] = account.named.get(cause, 0) + 1
        gap = Gap(header.topic, header.incarnation, header.seq, 1, cause)
        return [*gaps, Received(None, gap)]

    def refuse(self, topic: str) -> int:
        """Count a malformed message of `topic`, or of none that was asked for; return how many."""
        known = topic if topic in self._topics else OTHER
        self._refused[known] = self._refused.get(known, 0) + 1
        return self._refused[known]

    def counters(self) -> dict[str, dict[str, Value]]:
        """Return the counts per topic, over all lives of its publisher.

        `published` = `received` + `queue_full` + `overtaken` + `skipped` + `disconnected` +
        `refused_here` + `unexplained`, of what was published since this subscriber joined, as far
        as it knows (so nothing is in flight; constant facts that are repeated count nowhere).
        `overtaken`: its place in shared memory was taken before its turn came; `skipped`: a newer
        one had come as well and only that was wanted; `disconnected`: said while the connection
        was lost. `gaps` counts the missing messages;
        `refused` all malformed ones; `lost` what the publisher lost before it published;
        `lives` the incarnations; `ended` and `final` are those of the newest.
        """
        result = {topic: self._count(topic) for topic in self._accounts}
        if OTHER in self._refused:
            result[OTHER] = {"refused": self._refused[OTHER]}
        return result

    def _count(self, topic: str) -> dict[str, Value]:
        accounts = list(self._accounts[topic].values())
        missing = sum(account.missing for account in accounts)
        queue_full = sum(account.queue_full for account in accounts)
        lost: dict[str, int] = {}
        named = dict.fromkeys(CAUSES, 0)
        for account in accounts:
            _add(lost, account.lost)
            _add(named, account.named)
        open_ones = missing - queue_full - sum(named.values())
        refused = self._refused.get(topic, 0)
        refused_here = min(refused, open_ones)
        return {
            "published": sum(account.published for account in accounts),
            "received": sum(account.received for account in accounts),
            "bytes": sum(account.nbytes for account in accounts),
            "gaps": missing,
            "queue_full": queue_full,
            **named,
            "refused": refused,
            "refused_here": refused_here,
            "unexplained": open_ones - refused_here,
            "duplicates": sum(account.duplicates for account in accounts),
            "lost": lost,
            "lives": len(accounts),
            "ended": bool(accounts) and accounts[-1].ended,
            "final": bool(accounts) and accounts[-1].final,
        }

    def _account(self, topic: str, incarnation: int) -> _Account:
        lives = self._accounts[topic]
        account = lives.get(incarnation)
        if account is None:
            account = lives[incarnation] = _Account()
            if len(lives) > LIVES_KEPT:
                oldest, *_ = (life for life in lives if life != _PAST)
                lives.setdefault(_PAST, _Account()).absorb(lives.pop(oldest))
        return account

    @staticmethod
    def _repeated(message: Message, account: _Account) -> list[Received]:
        """Drop what came before; a constant fact is repeated on purpose, for whoever missed it."""
        if message.header.kind is not _LATCHED:
            account.duplicates += 1
        elif message.header.seq > account.latched:
            account.latched = message.header.seq
            return [Received(message)]
        return []

    @staticmethod
    def _gap(header: Header, account: _Account, seq: int) -> list[Received]:
        hole = account.miss_until(seq)
        if hole is None:
            return []
        return [Received(None, Gap(header.topic, header.incarnation, *hole))]

    def _statement(self, message: Message) -> list[Received]:
        header = message.header
        published = dict(_counts(header.fields.get("published")))
        node = header.topic.partition("/")[0]
        results = [
            gap
            for topic in self._accounts
            if (topic.partition("/")[0] == node and topic != header.topic) or topic in published
            for gap in self._stated(topic, published.get(topic, 0), header)
        ]
        if header.topic in self._topics:
            results.append(Received(message))
        return results

    def _stated(self, topic: str, seq: int, header: Header) -> list[Received]:
        account = self._account(topic, header.incarnation)
        joined, joined_at = header.fields.get("joined"), -1
        if isinstance(joined, Mapping) and self._name in joined:
            joined_at = dict(_counts(joined[self._name])).get(topic, 0)
            account.begin(joined_at)
        if account.base < 0:
            return []  # sent before this subscriber had joined
        stated = Header(topic, header.kind, seq, 0, incarnation=header.incarnation)
        gaps = self._gap(stated, account, seq)
        if joined_at > account.joined:
            if account.joined >= 0:
                account.rejoin(joined_at)
            account.joined = joined_at
        account.stated = (account.stated[1], seq)
        account.claim(_starts(header.fields.get("full"), topic))
        account.final = header.fields.get("final") is True
        lost = header.fields.get("lost")
        if isinstance(lost, Mapping):
            account.lost = dict(_counts(lost.get(topic)))
        return gaps


def _add(total: dict[str, int], counts: Mapping[str, int]) -> None:
    for cause, count in counts.items():
        total[cause] = total.get(cause, 0) + count


def _counts(value: object) -> Iterator[tuple[str, int]]:
    """Yield the counts in a map that came from outside; anything else in it is passed over."""
    if isinstance(value, Mapping):
        for key, count in value.items():
            if isinstance(key, str) and type(count) is int and count >= 0:
                yield key, count


def _starts(value: object, topic: str) -> list[int]:
    if not isinstance(value, Sequence):
        return []
    return [dict(_counts(place)).get(topic, 0) for place in value]

"""The books of both ends: whatever the channel does, they balance and no loss is unnamed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tectum.message import Header, Kind, Message
from tectum.testing import FakeClock
from tectum.transport.inbox import Inbox
from tectum.transport.memory import MemoryBus

TOPIC = "mouth/text"


def text(seq, incarnation=1, topic=TOPIC, kind=Kind.TEXT):
    return Message(Header(topic, kind, seq, 0, incarnation=incarnation))


def statement(published, incarnation=1, **fields):
    fields = {"published": published, "joined": {"ear": {}}, **fields}
    return Message(
        Header("mouth/@statement", Kind.STATEMENT, 0, 0, incarnation=incarnation, fields=fields)
    )


def test_what_a_statement_counts_and_has_not_come_is_a_gap_at_once():
    inbox = Inbox("ear", [TOPIC])
    inbox.take(text(0))
    (gap,) = inbox.take(statement({TOPIC: 3}))
    assert (gap.message, gap.gap[2:4]) == (None, (1, 2))
    assert inbox.take(statement({TOPIC: 3})) == []
    row = inbox.counters()[TOPIC]
    assert (row["published"], row["received"], row["unexplained"]) == (3, 1, 2)


def test_a_statement_from_before_the_joining_counts_nothing():
    inbox = Inbox("ear", [TOPIC])
    assert inbox.take(statement({TOPIC: 100}, joined={"other": {TOPIC: 0}})) == []
    assert inbox.counters()[TOPIC]["published"] == 0
    (gap,) = inbox.take(statement({TOPIC: 100}, joined={"ear": {TOPIC: 98}}))
    assert gap.gap[2:4] == (98, 2)


def test_a_gap_is_explained_from_where_the_queue_was_full():
    # 0 1 [2 3 4 5] 6   the queue was seen full at 4: whoever lost 4 lost 5 for the same reason
    inbox = Inbox("ear", [TOPIC])
    for seq in (0, 1, 6):
        inbox.take(text(seq))
    assert inbox.counters()[TOPIC]["unexplained"] == 4
    inbox.take(statement({TOPIC: 7}, full=[{TOPIC: 4}, {TOPIC: 5}]))
    row = inbox.counters()[TOPIC]
    assert (row["gaps"], row["queue_full"], row["unexplained"]) == (4, 2, 2)
    inbox.take(statement({TOPIC: 7}, full=[{TOPIC: 2}]))
    assert inbox.counters()[TOPIC]["unexplained"] == 0


def test_a_full_queue_of_somebody_else_explains_nothing():
    inbox = Inbox("ear", [TOPIC])
    for seq in (0, 2):
        inbox.take(text(seq))
    inbox.take(statement({TOPIC: 5}, full=[{TOPIC: 0}, {TOPIC: 2}]))
    row = inbox.counters()[TOPIC]
    assert (row["gaps"], row["queue_full"], row["unexplained"]) == (3, 0, 3)


def test_a_refused_message_explains_one_missing_number():
    inbox = Inbox("ear", [TOPIC])
    inbox.take(text(0))
    inbox.refuse(TOPIC)
    inbox.refuse("elsewhere/text")
    inbox.take(text(3))
    rows = inbox.counters()
    assert (rows[TOPIC]["refused"], rows[TOPIC]["refused_here"]) == (1, 1)
    assert rows[TOPIC]["unexplained"] == 1
    assert rows["?"] == {"refused": 1}


def test_what_comes_twice_or_late_is_dropped_and_counted():
    inbox = Inbox("ear", [TOPIC])
    handed = [bool(inbox.take(text(seq))) for seq in (0, 1, 1, 0, 2)]
    assert handed == [True, True, False, False, True]
    assert inbox.counters()[TOPIC]["duplicates"] == 2


def test_lives_are_kept_apart_and_old_ones_summed_up():
    inbox = Inbox("ear", [TOPIC])
    for life in range(40):
        inbox.take(text(0, life))
        inbox.take(text(2, life))
    row = inbox.counters()[TOPIC]
    assert (row["published"], row["received"], row["gaps"]) == (120, 80, 40)
    assert row["lives"] == 17  # sixteen and the sum of the others


def test_a_topic_that_was_not_asked_for_is_refused():
    inbox = Inbox("ear", [TOPIC])
    assert inbox.take(text(0, topic="mouth/other")) == []
    assert inbox.counters()["?"] == {"refused": 1}


@pytest.mark.parametrize("garbage", [None, -1, "x", b"x", [1], [None], {"x": [1]}, {TOPIC: "1"}])
def test_malformed_statements_harm_nothing(garbage):
    inbox = Inbox("ear", [TOPIC])
    inbox.take(text(0))
    for key in ("published", "lost", "full", "joined", "final"):
        assert inbox.take(statement(**{"published": {TOPIC: 1}, key: garbage})) == []
    inbox.take(statement({TOPIC: 0}, full=[1, "x", {TOPIC: -1}, {TOPIC: True}]))
    row = inbox.counters()[TOPIC]
    assert (row["published"], row["received"], row["gaps"], row["final"]) == (1, 1, 0, False)


class Channel:
    """A bus whose deliveries obey a script: delivered, lost unseen, or refused by a full queue."""

    def __init__(self, fates):
        self.bus = MemoryBus(FakeClock())
        self.publisher = self.bus.publisher("mouth", incarnation=1)
        self.inbox = Inbox("ear", [TOPIC, "mouth/other"])
        self.results = []
        self._fates = iter(fates)
        self._shut_out = False
        self.publisher._send = self._send
        self.publisher.tell(b"\1\xffjoin/ear")
        self.publisher.serve()

    def _send(self, header, arrays=()):
        housekeeping = header.kind is Kind.STATEMENT
        fate = "delivered" if housekeeping else next(self._fates)
        if fate == "full" and not self._shut_out:
            self._shut_out = True
            return False
        if fate == "full":  # the transport leaves a full queue out without saying so again
            return True
        self._shut_out = False
        if fate == "delivered":
            self.results += self.inbox.take(Message(header))
        return True


@settings(deadline=None)  # a busy machine
@given(
    st.lists(
        st.tuples(
            st.sampled_from([TOPIC, "mouth/other"]), st.sampled_from(["delivered", "lost", "full"])
        ),
        max_size=40,
    )
)
def test_published_is_received_and_named_and_unexplained(script):
    channel = Channel([fate for _, fate in script])
    for topic, _ in script:
        channel.publisher.publish(topic.partition("/")[2], Kind.TEXT, stamp_ns=0)
    channel.publisher.close()
    rows = channel.inbox.counters()
    for topic in (TOPIC, "mouth/other"):
        fates = [fate for name, fate in script if name == topic]
        row = rows[topic]
        assert row["published"] == len(fates)
        assert row["received"] == fates.count("delivered")
        assert row["gaps"] == len(fates) - row["received"]
        assert row["published"] == row["received"] + row["queue_full"] + row["unexplained"]
        numbers = []
        for item in channel.results:
            if item.gap is not None and item.gap.topic == topic:
                numbers += range(item.gap.first_seq, item.gap.first_seq + item.gap.missing)
            elif item.message is not None and item.message.header.topic == topic:
                numbers.append(item.message.header.seq)
        assert numbers == list(range(len(fates)))
    if "lost" not in {fate for _, fate in script}:
        assert [rows[topic]["unexplained"] for topic in rows] == [0, 0]
    if "full" not in {fate for _, fate in script}:
        assert [rows[topic]["queue_full"] for topic in rows] == [0, 0]


def test_statements_come_every_tenth_of_a_second_and_when_someone_joins():
    bus = MemoryBus(FakeClock())
    publisher = bus.publisher("mouth")
    listener = bus.subscriber("ear", ["mouth/@statement"])
    begin_ns = bus.clock.now_ns()
    assert publisher.serve() == begin_ns + 100_000_000
    bus.clock.advance(99_999_999)
    assert publisher.serve() == begin_ns + 100_000_000
    bus.clock.advance(1)
    publisher.serve()
    bus.subscriber("other", ["mouth/text"])
    publisher.serve()
    publisher.close()
    times = [
        (item.message.header.stamp_ns - begin_ns, item.message.header.fields["final"])
        for item in listener.drain()
    ]
    assert times == [(0, False), (100_000_000, False), (100_000_000, False), (100_000_000, True)]


def test_a_fact_that_was_missed_is_delivered_when_it_is_repeated():
    inbox = Inbox("ear", [TOPIC])
    inbox.take(statement({TOPIC: 1}))  # the fact, number 0, was lost
    fact = text(0, kind=Kind.LATCHED)
    assert [item.message for item in inbox.take(fact)] == [fact]
    assert inbox.take(replace(fact)) == []
    newer = text(1, kind=Kind.LATCHED)
    assert [item.message for item in inbox.take(newer)] == [newer]


def test_what_was_said_while_the_connection_was_lost_is_named_so():
    inbox = Inbox("ear", [TOPIC])
    inbox.take(statement({TOPIC: 0}, joined={"ear": {TOPIC: 0}}))
    for seq in (0, 1, 3):
        inbox.take(text(seq))
    (gap,) = inbox.take(statement({TOPIC: 20}, joined={"ear": {TOPIC: 20}}))
    assert gap.gap[2:4] == (4, 16)
    inbox.take(text(20))
    inbox.take(text(22))
    inbox.take(statement({TOPIC: 23}, joined={"ear": {TOPIC: 20}}))
    row = inbox.counters()[TOPIC]
    assert (row["gaps"], row["disconnected"], row["unexplained"]) == (18, 16, 2)


def test_a_message_that_comes_before_the_news_of_the_joining_changes_nothing():
    inbox = Inbox("ear", [TOPIC])
    inbox.take(statement({TOPIC: 0}, joined={"ear": {TOPIC: 0}}))
    for seq in (0, 18, 19):
        inbox.take(text(seq))
    assert inbox.take(statement({TOPIC: 20}, joined={"ear": {TOPIC: 20}})) == []
    row = inbox.counters()[TOPIC]
    assert (row["gaps"], row["disconnected"], row["unexplained"]) == (17, 17, 0)


@pytest.mark.parametrize("early", [1, 17, 500])
def test_however_many_messages_come_before_the_news_the_gap_before_them_is_explained(early):
    inbox = Inbox("ear", [TOPIC])
    inbox.take(statement({TOPIC: 0}, joined={"ear": {TOPIC: 0}}))
    for seq in (0, *range(18, 18 + early)):
        inbox.take(text(seq))
    inbox.take(statement({TOPIC: 18 + early}, joined={"ear": {TOPIC: 18 + early}}))
    row = inbox.counters()[TOPIC]
    assert (row["gaps"], row["disconnected"], row["unexplained"]) == (17, 17, 0)


def test_what_was_missing_before_the_connection_was_lost_stays_unexplained():
    inbox = Inbox("ear", [TOPIC])
    once, again = {"ear": {TOPIC: 0}}, {"ear": {TOPIC: 12}}
    inbox.take(statement({TOPIC: 0}, joined=once))
    for seq in (0, 3, 4):
        inbox.take(text(seq))
    for _ in range(2):
        inbox.take(statement({TOPIC: 5}, joined=once))
    for seq in range(5, 12):
        inbox.take(text(seq))  # nothing was said while the connection was lost
    inbox.take(statement({TOPIC: 12}, joined=again))
    row = inbox.counters()[TOPIC]
    assert (row["gaps"], row["disconnected"], row["unexplained"]) == (2, 0, 2)


def test_a_statement_on_half_a_new_connection_does_not_hide_what_was_missed():
    inbox = Inbox("ear", [TOPIC])
    inbox.take(statement({TOPIC: 0}, joined={"ear": {TOPIC: 0}}))
    inbox.take(text(0))
    inbox.take(statement({TOPIC: 1}, joined={"ear": {TOPIC: 0}}))
    inbox.take(statement({TOPIC: 9}, joined={}))
    inbox.take(text(10))
    inbox.take(statement({TOPIC: 11}, joined={"ear": {TOPIC: 10}}))
    row = inbox.counters()[TOPIC]
    assert (row["gaps"], row["disconnected"], row["unexplained"]) == (9, 9, 0)


def test_a_loss_right_after_joining_for_the_first_time_is_no_disconnection():
    inbox = Inbox("ear", [TOPIC])
    for seq in (5, 8):
        inbox.take(text(seq))  # comes before the news of the joining
    inbox.take(statement({TOPIC: 9}, joined={"ear": {TOPIC: 9}}))
    row = inbox.counters()[TOPIC]
    assert (row["gaps"], row["disconnected"], row["unexplained"]) == (2, 0, 2)

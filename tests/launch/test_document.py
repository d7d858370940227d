from pathlib import Path

import pytest

from tectum_launch.document import parse_document, parse_value
from tectum_launch.findings import GraphError, Place


def parse(text):
    return parse_document(text, source="g.yaml", folder=Path())


def test_every_key_and_value_knows_its_place():
    document = parse("nodes:\n  camera: {rate: 30Hz}\n  list: [1, two]\n")
    assert document.tree == {"nodes": {"camera": {"rate": "30Hz"}, "list": [1, "two"]}}
    assert document.place(("nodes", "camera", "rate"), key=True) == Place("g.yaml", 2, 12)
    assert document.place(("nodes", "camera", "rate")) == Place("g.yaml", 2, 18)
    assert document.place(("nodes", "list", 1)) == Place("g.yaml", 3, 13)


def test_the_place_of_something_that_is_missing_is_that_of_its_parent():
    document = parse("nodes:\n  camera: {rate: 30Hz}\n")
    assert document.place(("nodes", "camera", "lens", "focal")) == Place("g.yaml", 2, 11)


def test_words_and_numbers_are_read_as_yaml_1_2():
    document = parse("a: no\nb: 010\nc: 1e-3\nd: 12:30:00\ne: ~\nf: true\n")
    assert document.tree == {"a": "no", "b": 10, "c": 0.001, "d": "12:30:00", "e": None, "f": True}


def test_all_duplicate_keys_are_found_with_the_line_of_the_first():
    document = parse("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert [finding.text for finding in document.findings] == [
        "g.yaml:2:11: b.c: the key 'c' stands twice: the first is in line 2",
        "g.yaml:3:1: a: the key 'a' stands twice: the first is in line 1",
    ]


def test_aliases_and_merge_keys_work_and_own_keys_win():
    document = parse("a: &x {rate: 1, gain: 2}\nb: {<<: *x, rate: 3}\nc: {<<: [*x]}\n")
    assert document.tree["b"] == {"rate": 3, "gain": 2}
    assert document.tree["c"] == {"rate": 1, "gain": 2}
    assert not document.findings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2", "g.yaml:2:2: this is not YAML: expected ',' or ']', but got ':'"),
        ("- a\n- b", "g.yaml:1:1: expected `key: value` lines here"),
        ("", "g.yaml:1:1: expected `key: value` lines here"),
        ("a: *nope", "g.yaml:1:4: this is not YAML: found undefined alias 'nope'"),
    ],
)
def test_what_is_no_mapping_is_refused_with_its_line(text, message):
    with pytest.raises(GraphError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_a_tag_is_refused_and_nothing_is_constructed():
    document = parse("a: !!python/object/apply:os.getcwd []\nb: !mine 3\n")
    assert [finding.text.partition(" ")[0] for finding in document.findings] == [
        "g.yaml:1:4:",
        "g.yaml:2:4:",
    ]
    assert document.findings[1].message == "tags such as !mine are not used in graph files"
    assert document.tree == {"a": [], "b": "3"}


def test_keys_that_are_not_text_are_named():
    document = parse("nodes: {3: x}\n")
    assert document.findings[0].message == "a key must be text, not 3: put it in quotes"


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\n",
        "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
            for before, name in zip("abcde", "bcdef", strict=True)
        ),
    ],
)
def test_aliases_that_stand_for_endless_data_are_refused(text):
    with pytest.raises(GraphError, match="more than 20000 values or 64 levels"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("30Hz", "30Hz"), ("[a, 1]", ["a", 1]), ("{x: no}", {"x": "no"}), ("", None)],
)
def test_single_values_are_read_like_those_of_a_file(text, value):
    assert parse_value(text) == value

import pytest

from tectum.errors import ConfigError
from tectum.node.base import Node
from tectum_launch.draft import config_class
from tectum_launch.reference import node_reference
from tectum_launch.registry import SHIPPED, load_node, registered, target_of


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_node_is_there_and_every_key_of_it_is_explained(name):
    node = load_node(name)
    assert issubclass(node, Node)
    assert node.__doc__
    for key, field in config_class(node).model_fields.items():
        assert field.description, f"{name}: the key {key!r} has no docstring"
    assert name in node_reference(name).text()


def test_names_are_listed_without_importing_them():
    assert set(SHIPPED) <= set(registered())
    assert list(registered()) == sorted(registered())


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("fusoin", "no node is called 'fusoin'; allowed: "),
        ("no_such_module:Node", "no_such_module cannot be imported: No module named"),
        ("json:JSONDecoder", "json:JSONDecoder is not a node: it must be a subclass of"),
        ("json:dumps", "json has no class 'dumps'"),
    ],
)
def test_what_cannot_be_run_is_told_by_name(run, message):
    with pytest.raises(ConfigError) as caught:
        load_node(run)
    assert str(caught.value).startswith(message)


def test_a_class_is_named_as_it_is():
    assert target_of("my_nodes:Camera") == "my_nodes:Camera"

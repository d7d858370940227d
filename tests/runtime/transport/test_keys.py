"""Keys of hosts: made private, refused where others can read them, trusted by name."""

import json
import secrets
import stat

import pytest

from tectum.errors import ConfigError
from tectum.transport.keys import keys_folder, make_keys, read_keys, trust


def test_the_secret_key_is_private_and_not_shown(tmp_path):
    ring = make_keys("robot", tmp_path / "keys")
    path = tmp_path / "keys" / "own.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert ring.secret not in repr(ring)
    assert (len(ring.public), len(ring.secret)) == (64, 64)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_keys_that_others_can_read_are_refused_with_the_way_out(tmp_path, mode):
    make_keys("robot", tmp_path)
    path = tmp_path / "own.json"
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"run chmod 600 {path}"):
        read_keys(tmp_path)


def test_keys_are_not_made_twice_by_accident(tmp_path):
    first = make_keys("robot", tmp_path)
    with pytest.raises(ConfigError, match="--replace makes new keys"):
        make_keys("robot", tmp_path)
    assert read_keys(tmp_path) == first
    assert make_keys("robot", tmp_path, replace=True).public != first.public


def test_trusted_hosts_are_known_by_name_and_by_key(tmp_path):
    make_keys("robot", tmp_path)
    key = secrets.token_hex(32)
    trust("desk", f" {key.upper()}\n", tmp_path)
    ring = read_keys(tmp_path)
    assert (ring.of("desk"), ring.owner(key), ring.owner("00" * 32)) == (key, "desk", "")
    with pytest.raises(ConfigError, match="'dusk' is not known here; did you mean 'desk'"):
        ring.of("dusk")


def test_what_is_no_key_or_no_name_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is no public key: 64 hexadecimal digits"):
        trust("desk", "abc", tmp_path)
    for name in ("../desk", "", "a b", ".desk"):
        with pytest.raises(ConfigError, match="cannot name a host"):
            trust(name, "00" * 32, tmp_path)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", json.dumps({"name": "a", "public": "x", "secret": "y"})]
)
def test_damaged_keys_are_refused(tmp_path, content):
    make_keys("robot", tmp_path)
    (tmp_path / "own.json").write_text(content)
    with pytest.raises(ConfigError, match=r"own\.json"):
        read_keys(tmp_path)


def test_without_keys_the_command_that_makes_them_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TECTUM_KEYS", str(tmp_path / "none"))
    assert keys_folder() == tmp_path / "none"
    with pytest.raises(ConfigError, match="make them with: tectum keys new"):
        read_keys()

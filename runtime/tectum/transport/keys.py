"""Keys by which hosts know each other: one pair of this host's own, and public ones of others.

In `$TECTUM_KEYS`, else `$XDG_CONFIG_HOME/tectum/keys`, else `~/.config/tectum/keys`: `own.json`
(name, public, secret), private to its owner, and `trusted/<name>.pub`, one public key each. Keys
are Curve25519 (CurveZMQ), 32 bytes, written in hexadecimal. Who is not among the trusted neither
hears nor is heard.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from tectum.errors import ConfigError, nearest_name

__all__ = ["KeyRing", "keys_folder", "make_keys", "read_keys", "trust"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """This host's keys and those that it trusts; hexadecimal."""

    name: str
    public: str
    secret: str = field(repr=False)
    trusted: dict[str, str]
    """Host -> its public key."""

    def of(self, host: str) -> str:
        """Return the public key of `host`.

        Raises:
            ConfigError: it is not trusted here.
        """
        if host not in self.trusted:
            msg = (
                f"the key of host '{host}' is not known here{nearest_name(host, self.trusted)}; "
                f"on {host} run `tectum keys list`, then here `tectum keys trust {host} KEY`"
            )
            raise ConfigError(msg)
        return self.trusted[host]

    def owner(self, public: str) -> str:
        """Return which trusted host has this public key; empty: none."""
        return next((name for name, key in self.trusted.items() if key == public), "")


def keys_folder() -> Path:
    """Return where the keys of this user are; it need not exist."""
    if own := os.environ.get("TECTUM_KEYS"):
        return Path(own)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "tectum" / "keys"


def make_keys(name: str, folder: Path | None = None, *, replace: bool = False) -> KeyRing:
    """Make a pair of keys for this host and return all that it has.

    Raises:
        ConfigError: there is one already, the name cannot be one, or the folder cannot be written.
    """
    folder = folder or keys_folder()
    _check_name(name)
    path = folder / "own.json"
    if path.exists() and not replace:
        msg = f"{path} exists; --replace makes new keys, which others must trust anew"
        raise ConfigError(msg)
    public, secret = (z85.decode(key).hex() for key in zmq.curve_keypair())
    document = json.dumps({"name": name, "public": public, "secret": secret}) + "\n"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f".own.{os.getpid()}"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(document)
        draft.rename(path)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}"
        raise ConfigError(msg) from error
    return read_keys(folder)


def read_keys(folder: Path | None = None) -> KeyRing:
    """Return the keys of this host.

    Raises:
        ConfigError: there are none, others can read the secret one, or a file is malformed.
    """
    folder = folder or keys_folder()
    path = folder / "own.json"
    _refuse_open(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        name, public, secret = (str(document[key]) for key in ("name", "public", "secret"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path} cannot be read as a pair of keys: {type(error).__name__}: {error}"
        raise ConfigError(msg) from error
    if not (_KEY.fullmatch(public) and _KEY.fullmatch(secret)):
        msg = f"{path} is damaged: a key has 64 hexadecimal digits; restore it, or make new ones"
        raise ConfigError(msg)
    trusted = {}
    for file in sorted((folder / "trusted").glob("*.pub")):
        trusted[file.stem] = _public(file.read_text(encoding="utf-8"), str(file))
    return KeyRing(name, public, secret, trusted)


def trust(name: str, public: str, folder: Path | None = None) -> Path:
    """Let host `name`, which has the key `public`, be heard and hear; return the file.

    Raises:
        ConfigError: not a name, or not a key.
    """
    folder = (folder or keys_folder()) / "trusted"
    _check_name(name)
    key = _public(public, "KEY")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name}.pub"
    path.write_text(key + "\n", encoding="utf-8")
    return path


def _refuse_open(path: Path) -> None:
    try:
        status = path.stat()
    except OSError:
        msg = f"this host has no keys ({path}); make them with: tectum keys new"
        raise ConfigError(msg) from None
    if status.st_uid != os.getuid():
        msg = f"{path} belongs to user {status.st_uid}, not to you ({os.getuid()})"
        raise ConfigError(msg)
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        msg = f"others can read the secret key in {path} (mode {mode:o}): run chmod 600 {path}"
        raise ConfigError(msg)


def _public(text: str, place: str) -> str:
    key = text.strip().lower()
    if not _KEY.fullmatch(key):
        msg = f"{place}: {text.strip()[:80]!r} is no public key: 64 hexadecimal digits"
        raise ConfigError(msg)
    return key


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        msg = f"{name!r} cannot name a host: use letters, digits, '-', '_' and '.'"
        raise ConfigError(msg)

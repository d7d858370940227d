"""The simulated microphone: the sound of the drive, for any range of samples.

Sample n is the sound at n / 16000 seconds, a function of (config, n) alone, so that chunks of any
length fit together. Heard are tyres and wind, at times a horn, music or a reversing lorry, and
the siren of an emergency vehicle with its Doppler shift: its phase is read at the time when the
sound left the vehicle, t - r / c.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tectum_nodes.simulation.chance import Floats, Ints, generator, uniform, uniform_one
from tectum_nodes.simulation.config import DriveConfig
from tectum_nodes.simulation.siren_pass import GAP_M, Pass, pass_of_turn

RATE_HZ = 16_000
SOUND_MPS = 343.0
_HOP = 64  # delay and loudness are computed every so many samples, and straight in between
_TONES_HZ = (435.0, 580.0)
_TONE_S = 0.65
_WAIL_HZ, _WAIL_SWING_HZ, _WAIL_S = 980.0, 330.0, 2.4
_HARMONICS = (1.0, 0.55, 0.4, 0.22, 0.12)
_EVENT_S = 11.0
_SCALE = 0.8 * 32767


def chunk(config: DriveConfig, start: int, end: int) -> NDArray[np.int16]:
    """The sound of samples start to end (exclusive), 16 kHz mono.

    Returns:
        int16 (end - start,).
    """
    index = np.arange(start, end, dtype=np.int64)
    if config.faulty("microphone", start / RATE_HZ) == "mute":
        return np.zeros(len(index), np.int16)
    sound = _tyres(config, index) + _events(config, index) + _sirens(config, index)
    if config.faulty("microphone", start / RATE_HZ) == "hum":
        sound += 0.4 * np.sign(np.sin(2 * np.pi * 50.0 / RATE_HZ * (index % RATE_HZ)))
    return np.clip(sound * _SCALE, -32768, 32767).astype(np.int16)


def heard(passing: Pass, t_s: Floats) -> tuple[Floats, Floats]:
    """When the sound that is heard left the vehicle, and its distance then.

    Args:
        passing: The pass.
        t_s: Times of hearing, seconds of the drive.

    Returns:
        Times relative to the middle of the pass in seconds, and distances in metres.
    """
    now = t_s - passing.middle_s
    left = now
    for _ in range(5):  # contracts by the Mach number, below 0.1, in each round
        distance = np.hypot(GAP_M, passing.speed_mps * left)
        left = now - distance / SOUND_MPS
    return left, np.hypot(GAP_M, passing.speed_mps * left)


def _sirens(config: DriveConfig, index: Ints) -> Floats:
    sound = np.zeros(len(index))
    if config.siren_every_s == 0.0 or not len(index):
        return sound
    # A siren may still be heard when its turn is over, or when the chunk ends in the next turn.
    first, last = (int(np.floor(n / RATE_HZ / config.siren_every_s)) for n in index[[0, -1]])
    for turn in range(first - 1, last + 1):
        passing = pass_of_turn(config.seed, config.siren_every_s, turn)
        if passing is not None:
            sound += _siren(passing, index)
    return sound


def _siren(passing: Pass, index: Ints) -> Floats:
    grid = np.arange(index[0] // _HOP, index[-1] // _HOP + 2) * _HOP
    left, distance = heard(passing, grid / RATE_HZ)
    on = np.clip((170.0 - np.abs(passing.speed_mps * left)) / 20.0, 0.0, 1.0)
    loud = 0.45 * on / (1.0 + distance / 9.0)
    if not loud.any():
        return np.zeros(len(index))
    when = np.interp(index, grid, left)
    phase = passing.pitch * (_wail(when) if passing.wail else _two_tone(when))
    tone = _harmonic(phase)
    return np.asarray(np.interp(index, grid, loud) * tone)


def _harmonic(cycles: Floats) -> Floats:
    angle = 2 * np.pi * (cycles % 1.0)
    parts = [a * np.sin((k + 1) * angle) for k, a in enumerate(_HARMONICS)]
    return np.asarray(sum(parts, np.zeros_like(angle)) / sum(_HARMONICS))


def _two_tone(t_s: Floats) -> Floats:
    """Cycles of two tones in turn."""
    low, high = _TONES_HZ
    whole = np.floor(t_s / (2 * _TONE_S))
    rest = t_s - whole * 2 * _TONE_S
    return np.asarray(
        whole * _TONE_S * (low + high)
        + low * np.minimum(rest, _TONE_S)
        + high * np.maximum(rest - _TONE_S, 0.0)
    )


def _wail(t_s: Floats) -> Floats:
    """Cycles of a tone that rises and falls."""
    turn = 2 * np.pi * t_s / _WAIL_S
    return np.asarray(_WAIL_HZ * t_s - _WAIL_SWING_HZ * _WAIL_S / (2 * np.pi) * np.cos(turn))


def _tyres(config: DriveConfig, index: Ints) -> Floats:
    wet = 1.7 if config.weather == "rain" else 1.0
    level = 0.028 * wet * (0.3 + 0.7 * config.noise)
    one, two = _noise(config.seed, 65_521, 0.9), _noise(config.seed, 48_017, 0.55)
    # Two loops of coprime lengths repeat together only after 54 hours.
    return np.asarray(level * (0.9 * one[index % len(one)] + 0.45 * two[index % len(two)]))


@lru_cache(maxsize=8)
def _noise(seed: int, length: int, colour: float) -> Floats:
    """A seamless loop of noise whose spectrum falls with frequency, of deviation 1."""
    rng = generator(seed, "tyres", length)
    bins = length // 2 + 1
    frequency = np.maximum(np.arange(bins) * RATE_HZ / length, 40.0)
    spectrum = (rng.standard_normal(bins) + 1j * rng.standard_normal(bins)) / frequency**colour
    spectrum[0] = 0.0
    loop = np.fft.irfft(spectrum, length)
    return np.asarray(loop / loop.std())


def _events(config: DriveConfig, index: Ints) -> Floats:
    """Sounds that are not a siren: one of them, or none, in each turn of 11 s."""
    sound = np.zeros(len(index))
    if not len(index):
        return sound
    turn_of = index // int(_EVENT_S * RATE_HZ)
    for turn in range(int(turn_of[0]), int(turn_of[-1]) + 1):
        choice = uniform_one(config.seed, "sound/kind", turn)
        level = 0.04 + 0.16 * uniform_one(config.seed, "sound/level", turn)
        t = (index - turn * int(_EVENT_S * RATE_HZ)) / RATE_HZ
        mask = turn_of == turn
        for make, low, high in _EVENTS:
            if low <= choice < high:
                sound[mask] += level * make(config.seed, turn, t[mask])
    return sound


def _horn(seed: int, turn: int, t_s: Floats) -> Floats:
    """Two steady tones for 0.3 to 1.5 s."""
    begin = 1.0 + 7.0 * uniform_one(seed, "horn/begin", turn)
    length = 0.3 + 1.2 * uniform_one(seed, "horn/length", turn)
    pitch = 0.85 + 0.3 * uniform_one(seed, "horn/pitch", turn)
    tone = _harmonic(pitch * 410.0 * t_s) + _harmonic(pitch * 515.0 * t_s)
    return np.asarray(0.8 * tone * _gate(t_s, begin, begin + length))


def _music(seed: int, turn: int, t_s: Floats) -> Floats:
    """A tune from another car: a note every 0.3 s over a bass, coming and going."""
    note = np.floor(t_s / 0.3).astype(np.int64)
    step = np.floor(8 * uniform(seed, "music/note", turn * 64 + note))
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12])[step.astype(np.int64)]
    pitch = 262.0 * 2 ** (scale / 12.0)
    within = t_s - note * 0.3
    tone = _harmonic(pitch * within) * np.exp(-within / 0.2)
    bass = np.sin(2 * np.pi * 65.0 * t_s) * np.exp(-(t_s % 0.6) / 0.15)
    return np.asarray((tone + 0.7 * bass) * np.sin(np.pi * np.clip(t_s / _EVENT_S, 0, 1)))


def _reversing(seed: int, turn: int, t_s: Floats) -> Floats:
    """The beeps of a reversing lorry."""
    begin = 1.0 + 3.0 * uniform_one(seed, "beep/begin", turn)
    pitch = 1000.0 + 400.0 * uniform_one(seed, "beep/pitch", turn)
    beeping = ((t_s % 0.9) < 0.45) * _gate(t_s, begin, begin + 4.5)
    return np.asarray(0.6 * np.sin(2 * np.pi * pitch * t_s) * beeping)


def _gate(t_s: Floats, begin: float, end: float) -> Floats:
    return np.asarray(np.clip(np.minimum(t_s - begin, end - t_s) / 0.02, 0.0, 1.0))


_EVENTS = ((_horn, 0.0, 0.2), (_music, 0.2, 0.4), (_reversing, 0.4, 0.52))

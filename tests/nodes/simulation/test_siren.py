from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tectum_nodes.simulation import DriveConfig, Fault, siren
from tectum_nodes.simulation.siren_pass import pass_of_turn

QUIET = DriveConfig(seed=3, noise=0.0, siren_every_s=30.0)


def passes(seed=3, every_s=30.0, turns=12):
    """The first passes of a drive."""
    found = (pass_of_turn(seed, every_s, turn) for turn in range(turns))
    return [one for one in found if one is not None]


def second(config, t_s):
    start = round(t_s * siren.RATE_HZ)
    return siren.chunk(config, start, start + siren.RATE_HZ).astype(float)


@settings(max_examples=25, deadline=None)
@given(st.integers(-1_000_000, 10**9), st.lists(st.integers(1, 2500), min_size=1, max_size=4))
def test_chunks_of_any_length_fit_together(start, lengths):
    edges = np.cumsum([start, *lengths])
    pieces = [siren.chunk(QUIET, int(a), int(b)) for a, b in pairwise(edges)]
    whole = siren.chunk(QUIET, start, int(edges[-1]))
    assert whole.dtype == np.int16
    assert np.array_equal(np.concatenate(pieces), whole)


def test_an_empty_range_has_no_samples():
    assert siren.chunk(QUIET, 100, 100).shape == (0,)


@pytest.mark.parametrize("which", range(3))
def test_the_pitch_is_higher_before_a_pass_and_lower_after_it_as_doppler_says(which):
    """The strongest line near 435 Hz (or of the wail's sweep) by a long spectrum."""
    passing = [p for p in passes(turns=40) if not p.wail][which]
    mach = abs(passing.speed_mps) / siren.SOUND_MPS
    shift = {}
    for name, when in (("before", -4.0), ("after", 2.6)):
        window = second(QUIET, passing.middle_s + when) * np.hanning(siren.RATE_HZ)
        spectrum = np.abs(np.fft.rfft(window, 4 * siren.RATE_HZ))
        band = slice(4 * 380, 4 * 500)
        shift[name] = (np.argmax(spectrum[band]) / 4 + 380) / (435.0 * passing.pitch)
    assert shift["before"] == pytest.approx(1 / (1 - mach), abs=0.012) or shift[
        "before"
    ] == pytest.approx(1 + mach, abs=0.012)
    assert shift["after"] == pytest.approx(1 - mach, abs=0.012)


def test_a_siren_grows_louder_until_it_passes_and_fades():
    passing = passes()[0]
    loud = [second(QUIET, passing.middle_s + dt).std() for dt in (-6, -3, -0.5, 3, 6)]
    assert loud[0] < loud[1] < loud[2] > loud[3] > loud[4]
    silent = DriveConfig(seed=3, noise=0.0, siren_every_s=0.0)
    assert second(silent, passing.middle_s - 0.5).std() < 0.5 * loud[2]


def test_sound_is_heard_after_the_time_that_it_takes():
    passing = passes()[0]
    now = np.linspace(-5, 5, 41) + passing.middle_s
    left, distance = siren.heard(passing, now)
    assert np.allclose(now - passing.middle_s - left, distance / siren.SOUND_MPS, atol=1e-6)


def test_a_muted_microphone_is_silent_and_hum_drowns_the_street():
    muted, humming = (
        DriveConfig(faults=(Fault("microphone", kind, 0, 100),)) for kind in ("mute", "hum")
    )
    assert not second(muted, 5).any()
    assert second(humming, 5).std() > 5 * second(DriveConfig(), 5).std()


def test_other_sounds_than_sirens_come_and_go():
    loudness = [second(DriveConfig(siren_every_s=0), t).std() for t in range(60)]
    assert max(loudness) > 1.5 * np.median(loudness)

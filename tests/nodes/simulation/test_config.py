import pytest

from tectum.errors import ConfigError
from tectum_nodes.simulation import DriveConfig, Fault


def test_an_unknown_weather_is_refused_with_the_nearest_known_one():
    with pytest.raises(ConfigError, match=r"weather: 'fogg' .* did you mean 'fog'\?"):
        DriveConfig(weather="fogg")


@pytest.mark.parametrize("key", ["traffic", "noise"])
@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_a_negative_or_undefined_amount_is_refused_by_its_key(key, value):
    with pytest.raises(ConfigError, match=key):
        DriveConfig(**{key: value})


def test_sirens_that_would_overlap_are_refused_and_none_is_allowed():
    with pytest.raises(ConfigError, match="siren_every_s"):
        DriveConfig(siren_every_s=10)
    assert DriveConfig(siren_every_s=0).siren_every_s == 0


def test_a_fault_names_a_sensor_and_a_kind_that_it_can_have():
    with pytest.raises(ConfigError, match=r"fault.kind: 'mute' .* blackout, blur"):
        Fault("camera", "mute", 1.0, 1.0)


def test_a_fault_holds_for_its_time_and_comes_back_with_its_period():
    once, again = Fault("camera", "blur", 10, 2), Fault("lidar", "sector", 10, 2, every_s=50)
    assert [once.active(t) for t in (9.9, 10.0, 11.9, 12.0, 61.0)] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert [again.active(t) for t in (9.9, 10.0, 12.0, 61.0, 63.0)] == [
        False,
        True,
        False,
        True,
        False,
    ]
    config = DriveConfig(faults=(once, again))
    assert config.faulty("camera", 11.0) == "blur"
    assert config.faulty("microphone", 11.0) is None

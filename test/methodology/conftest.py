"""A profile for the tests, where accuracy, latency and energy rise with T."""

import pytest

from topspark_ros.methodology.profile import PhaseFigures, Profile, ProfilePoint

# T: accuracy inferring, accuracy of training, inference (s, J), training (s, J).
TABLE = {
    4: (0.80, 0.85, 0.001, 0.010, 0.002, 0.015),
    16: (0.92, 0.93, 0.003, 0.030, 0.006, 0.045),
    64: (0.96, 0.965, 0.010, 0.100, 0.020, 0.150),
    350: (0.97, 0.97, 0.050, 0.500, 0.100, 0.750),
}


@pytest.fixture(scope='session')
def profile():
    return Profile(
        name='test', rule='recruiting', neurons=400, max_input_rate=0.57,
        energy_model='round numbers', obtained='made up',
        points=tuple(
            ProfilePoint(t, PhaseFigures(inferring, latency, energy),
                         PhaseFigures(training, training_latency, training_energy))
            for t, (inferring, training, latency, energy, training_latency, training_energy)
            in TABLE.items()
        ),
    )

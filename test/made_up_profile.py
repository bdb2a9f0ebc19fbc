"""A profile for the tests of several rooms, where accuracy, latency and energy rise with T."""

import math

from topspark_ros.methodology.profile import Obtained, PhaseFigures, Profile, ProfilePoint

# T: accuracy inferring, accuracy of training, inference (s, J), training (s, J).
TABLE = {
    4: (0.80, 0.85, 0.001, 0.010, 0.002, 0.015),
    16: (0.92, 0.93, 0.003, 0.030, 0.006, 0.045),
    64: (0.96, 0.965, 0.010, 0.100, 0.020, 0.150),
    350: (0.97, 0.97, 0.050, 0.500, 0.100, 0.750),
}


def figures(timesteps, accuracy, latency_s, energy_j):
    return PhaseFigures(
        accuracy=accuracy,
        accuracy_std=math.nan,
        accuracy_worst=accuracy,
        margin=math.inf,
        steps=float(timesteps),
        latency_s=latency_s,
        energy_j=energy_j,
        input_spikes=100.0,
        output_spikes=3.0,
        synaptic_operations=4e4,
        neuron_updates=400.0 * timesteps,
        synaptic_updates=784.0,
    )


PROFILE = Profile(
    name='test',
    network=dict(
        rule='recruiting',
        neurons=400,
        coding='rate_regular',
        max_input_rate=0.57,
        inference_spikes=1.0,
    ),
    energy_model='round numbers',
    obtained=Obtained(*5 * ['made up']),
    points=tuple(
        ProfilePoint(
            t,
            figures(t, inferring, latency, energy),
            figures(t, training, training_latency, training_energy),
        )
        for t, (
            inferring,
            training,
            latency,
            energy,
            training_latency,
            training_energy,
        ) in TABLE.items()
    ),
)

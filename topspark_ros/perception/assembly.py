"""The learner as its parameters want it, ready for the first frame: for the node and for replay.

    python -m topspark_ros.perception.assembly

compiles what learners of each kind need, so that none does at its first start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from topspark_ros.engine import Network, create_network, report_compilation, warm_up
from topspark_ros.perception.encoder import Encoder
from topspark_ros.perception.learner_parameters import (
    DISCRIMINANT,
    FEATURES,
    INPUTS,
    SnnLearnerParameters,
)
from topspark_ros.perception.online import Margins, OnlineLearner
from topspark_ros.perception.steering import Steering
from topspark_ros.streams import events
from topspark_ros.streams.compressed import warm_up as warm_up_decoding
from topspark_ros.streams.objects import warm_up as warm_up_finding


def assemble(
    parameters: SnnLearnerParameters,
    network: Network,
    class_names: Sequence[str],
    margins: Mapping[int, Margins],
    encoder: Encoder | None = None,
    confidence: Sequence[float] = (),
) -> Steering:
    """The learner of this network, steered, with all kernels that frames need compiled.

    margins: by T of the profile, as `profile_margins` gives them; empty: there is no profile.
    encoder: that the parameters name; None: none.
    confidence: as of a Checkpoint; ConfidenceError if it is none.
    """
    compile_for(parameters, network)
    energy_table = parameters.energy_table()
    learner = OnlineLearner(
        network,
        class_names,
        parameters.timesteps(),
        parameters.online_settings(margins),
        energy_table,
        0.0 if encoder is None else encoder.energy_j(energy_table),
        confidence,
    )
    return Steering(learner, parameters, margins)


def compile_for(parameters: SnnLearnerParameters, network: Network) -> None:
    """Compile, or load from the cache on disk, all kernels that frames need."""
    warm_up(network)
    if parameters.input == 'events':
        events.warm_up(parameters.event_settings())
    else:
        warm_up_finding()
        if parameters.input == 'compressed':
            warm_up_decoding()


def main() -> None:
    with report_compilation(print):
        kinds = (DISCRIMINANT, ''), ('recruiting', ''), ('recruiting', FEATURES)
        for (rule, encoder), source in product(kinds, INPUTS):
            parameters = SnnLearnerParameters(rule=rule, encoder=encoder, input=source)
            compile_for(parameters, create_network(parameters.network_config()))


if __name__ == '__main__':
    main()

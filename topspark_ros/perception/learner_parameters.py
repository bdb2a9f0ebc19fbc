"""Parameters of the learner, and what is made of them: network, windows of events, T, margins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from topspark_ros.control.meters import METERS
from topspark_ros.engine import (
    MAX_TIMESTEPS,
    RULES,
    AnyConfig,
    DiscriminantConfig,
    EncodedConfig,
    EngineError,
    FeaturesConfig,
    Filters,
    NetworkConfig,
    load_filters,
)
from topspark_ros.methodology.energy import (
    ENERGY_TABLES,
    EnergyTable,
    EnergyTableError,
    energy_table,
)
from topspark_ros.methodology.profile import DISCRIMINANT
from topspark_ros.perception.encoder import Encoder
from topspark_ros.perception.online import Margins, OnlineSettings, Timesteps
from topspark_ros.perception.parameters import ParameterError, parameter
from topspark_ros.perception.samples import View
from topspark_ros.perception.trials import TRIED_TIMESTEPS, TrialSettings
from topspark_ros.streams.events import EventSettings

INPUTS = 'image', 'compressed', 'events'
PICTURE_VIEWS = 'object', 'frame'
FEATURES = 'features'  # the encoder of the package's own spiking filters
GRID = 28  # cells a side of what a single layer sees without an encoder
MAX_OBJECTS = 8  # in a frame: each of them is a tenth of what stands out, or more
EVENT_SIDE = 32  # the same of what spiking features see of a window of events
MARGIN = (
    'ends as soon as one class leads by this much: a share of all evidence with the '
    'recruiting rule, output spikes with the others; inf: never. At the T of a profile, '
    'the margin that `topspark profile --max-loss` found for it counts instead.'
)


@dataclass(frozen=True)
class SnnLearnerParameters:
    """Parameters of the learner."""

    input: str = parameter('image', 'Type of the input topic.', choices=INPUTS, fixed=True)
    queue_depth: int = parameter(
        1,
        'Frames, or windows of events, that may wait while one is in work. 1: always the '
        'latest, lowest latency; more bridges short delays without losing a frame.',
        low=1,
        high=1000,
        fixed=True,
    )
    event_window: float = parameter(
        0.08,
        'Length of a window of events, sensor time.',
        unit='s',
        low=0.001,
        high=10.0,
        fixed=True,
    )
    event_window_count: int = parameter(
        0,
        'Events of a window, however long they take; 0: windows of event_window.',
        low=0,
        high=1_000_000,
        fixed=True,
    )
    event_min_count: int = parameter(
        100,
        'A window of event_window with fewer events is skipped: nothing moves.',
        low=1,
        high=1_000_000,
        fixed=True,
        formerly='event_least_count',
    )
    event_roi: tuple[int, ...] = parameter(
        (0, 0, 0, 0),
        'Region of interest of the sensor: left, top, width and height; width 0: all of it.',
        unit='px',
        low=0,
        high=65535,
        fixed=True,
        formerly='event_region',
    )
    event_centring: bool = parameter(
        True, 'What moves is centred and scaled; false: the region as it is.', fixed=True
    )
    event_by_polarity: bool = parameter(
        False,
        'Brighter and darker events go to inputs of their own, twice as many; not with the rule '
        'discriminant or the encoder features.',
        fixed=True,
    )
    event_max_rate: float = parameter(
        5e6, 'Events above this rate are thinned out.', unit='Hz', low=1.0, high=1e10, fixed=True
    )
    event_hot_pixel_rate: float = parameter(
        100.0,
        'Events of a pixel above which it is stuck, if those around it send far fewer.',
        unit='Hz',
        low=0.001,
        high=1e10,
        fixed=True,
    )
    rule: str = parameter(
        DISCRIMINANT,
        'Learning rule of the network. discriminant: a layer of spiking features sees pictures, or '
        'what moves on a grid of 32 x 32, and a linear discriminant reads them out. The others: a '
        'single layer sees what is bright, or moves, on a grid of 28 x 28, or what an encoder '
        'makes of pictures.',
        choices=(*RULES, DISCRIMINANT),
        fixed=True,
    )
    neurons: int = parameter(
        400, 'Excitatory neurons of a single layer.', low=1, high=100_000, fixed=True
    )
    picture_side: int = parameter(
        48,
        'Side of the picture that spiking features see of a camera; an even number.',
        unit='px',
        low=28,
        high=64,
        fixed=True,
    )
    picture_colour: bool = parameter(
        True,
        'Whether spiking features see colours and background as the camera does; false: the object '
        'alone, bright on dark, which suits signs and digits on an even background.',
        fixed=True,
    )
    picture_view: str = parameter(
        'object',
        'What spiking features, or an encoder, see. object: what stands out from an even '
        'background, or of events what moves most, centred and scaled. frame: the central square, '
        'whatever is in it, in colour; of events all that moves, if event_centring, centred and '
        'scaled.',
        choices=PICTURE_VIEWS,
        fixed=True,
    )
    max_objects: int = parameter(
        1,
        'Objects that are classified in a frame, or moving things in a window of events, at most. '
        'The most salient one is what labels teach and questions ask about; each one costs an '
        'inference. 1: the object is what stands out to one side, dark or light. More: what edges '
        'surround. Only 1 with picture_view: frame, and of events without event_centring.',
        low=1,
        high=MAX_OBJECTS,
        fixed=True,
    )
    encoder: str = parameter(
        '',
        'What turns pictures into features that any rule learns on. features: spiking filters, for '
        'the same T as the rule; the rule discriminant has them without being told. Or the ONNX '
        'file of a frozen network. Its input: 1 x 3 x side x side, normalised as for ImageNet; its '
        'side counts, not picture_side. Its output: 1 x features. Empty: none.',
        fixed=True,
        path=True,
    )
    filters_file: str = parameter(
        '',
        'Filters that spiking features see by, of a network that has learned nothing yet, as '
        '`python -m benchmarks.filters` writes them, float32 or int8. Weights that are resumed '
        'bring their own. Empty: those of the package.',
        fixed=True,
        path=True,
    )
    max_input_rate: float = parameter(
        9.0,
        'Rate limit of the input: expected spikes of a sample of unit L2 norm (0.57: '
        '63.75 Hz for a full pixel of a digit; 9: most pixels of a digit spike at every step, and '
        'any T may follow any other).',
        unit='spikes/step',
        low=0.01,
        high=1000.0,
        fixed=True,
    )
    seed: int = parameter(0, 'Seed of weights and spike phases.', low=0, high=2**31 - 1, fixed=True)
    learning: bool = parameter(True, 'false: frames are classified only, whatever decisions say.')
    training_timesteps: int = parameter(
        4,
        'T of a learning presentation until a decision comes.',
        unit='steps',
        low=1,
        high=MAX_TIMESTEPS,
    )
    inference_timesteps: int = parameter(
        4, 'T of an inference until a decision comes.', unit='steps', low=1, high=MAX_TIMESTEPS
    )
    training_margin: float = parameter(
        math.inf, f'A learning presentation {MARGIN}', low=0.001, high=math.inf
    )
    inference_margin: float = parameter(
        math.inf, f'An inference {MARGIN}', low=0.001, high=math.inf
    )
    profile_file: str = parameter(
        '',
        'Profile whose T are the only ones accepted in decisions, with their margins; empty: '
        'any T.',
        fixed=True,
        path=True,
    )
    label_wait: float = parameter(
        0.15,
        'A frame without a label is learned as unlabelled after this time.',
        unit='s',
        low=0.0,
        high=10.0,
        fixed=True,
    )
    accuracy_window: int = parameter(
        200, 'Labelled frames behind the prequential accuracy.', low=1, high=100_000, fixed=True
    )
    unknown_threshold: float = parameter(
        0.9,
        'Confidence in its class below which a frame is unknown; 0: none is that has a class.',
        low=0.0,
        high=1.0,
        fixed=True,
    )
    questions_per_hour: int = parameter(
        12,
        'Frames that are asked about within an hour, at most; 0: none.',
        low=0,
        high=3600,
        fixed=True,
    )
    trial_share: float = parameter(
        0.05,
        'Share of the energy that trials may take: labelled frames are classified at another '
        'T besides, for the controller to learn what T is worth on them; 0: none.',
        low=0.0,
        high=1.0,
        fixed=True,
    )
    energy_model: str = parameter(
        'loihi',
        'Table of energies per operation for the estimates: '
        f'{", ".join(ENERGY_TABLES)}, or a YAML file as those in config/energy.',
        fixed=True,
        path=True,
    )
    meter: str = parameter(
        'estimated',
        'What measures the power; auto: the best that can be read of hwmon, rapl and processor.',
        choices=METERS,
        fixed=True,
    )
    core_power: float = parameter(
        10.0,
        'What one busy core draws, for the meter processor.',
        unit='W',
        low=0.0,
        high=1000.0,
        fixed=True,
    )
    base_power: float = parameter(
        0.0,
        'Drawn without perception, subtracted from what rapl, hwmon and battery measure.',
        unit='W',
        low=0.0,
        high=1e5,
        fixed=True,
    )
    discharge_is_positive: bool = parameter(
        False,
        'Whether BatteryState.current is positive while the battery discharges, against '
        'the message; where power_supply_status says charging or discharging, that counts.',
        fixed=True,
    )
    meter_channel: str = parameter(
        '',
        'Label of the rail of the meter hwmon; empty: the only one, or the one with CPU in it.',
        fixed=True,
    )
    status_period: float = parameter(
        0.5, 'Time between two status messages.', unit='s', low=0.05, high=60.0, fixed=True
    )
    checkpoint_file: str = parameter(
        '',
        'Weights: read when configured, if there; written periodically and when deactivated. '
        'Empty: none.',
        fixed=True,
        path=True,
    )
    load_file: str = parameter(
        '',
        'Weights that ~/load_weights reads, such as those that `topspark merge` makes of several '
        'robots; they are saved to checkpoint_file from then on. Empty: those of checkpoint_file.',
        path=True,
    )
    checkpoint_period: float = parameter(
        30.0, 'Time between two periodic checkpoints.', unit='s', low=1.0, high=86_400.0, fixed=True
    )

    @property
    def sees_pictures(self) -> bool:
        """Whether spiking features are what sees the input."""
        return self.encoder == FEATURES or (self.rule == DISCRIMINANT and not self.encoder)

    def read_encoder(self) -> Encoder | None:
        """Of an ONNX file; None: there is none.

        EncoderError for a file that is rejected, ParameterError where there can be none.
        """
        if self.encoder in ('', FEATURES):
            return None
        if self.input == 'events':
            raise ParameterError("input: 'events'; accepted with an encoder: image, compressed")
        if not self.picture_colour:
            raise ParameterError('picture_colour: False; accepted with an encoder: True')
        return Encoder(self.encoder)

    def read_filters(self) -> Filters | None:
        """Of a network that has learned nothing yet; None: the package's.

        ParameterError for a file that is rejected, and where no spiking features see.
        """
        if not self.filters_file:
            return None
        if not self.sees_pictures:
            raise ParameterError(
                f'filters_file: {self.filters_file!r}; accepted without spiking features (the rule '
                f'{DISCRIMINANT} without an encoder, or the encoder {FEATURES}): none'
            )
        try:
            return load_filters(self.filters_file, self._features())
        except EngineError as error:
            raise ParameterError(f'filters_file: {error}') from None

    def energy_table(self) -> EnergyTable:
        """ParameterError for an energy_model that is none."""
        try:
            return energy_table(self.energy_model)
        except EnergyTableError as error:
            raise ParameterError(f'energy_model: {error}') from None

    def network_config(self, encoder: Encoder | None = None) -> AnyConfig:
        """encoder: that `read_encoder` gave; None: it is read if there is one.

        EngineError, ParameterError and EncoderError for values that contradict each other.
        """
        encoder = encoder or self.read_encoder()
        if self.rule == DISCRIMINANT:
            if encoder is not None:
                return EncodedConfig(encoder.features, encoder.digest)
            if self.encoder:
                raise ParameterError(
                    f'encoder: {FEATURES!r}; accepted with the rule {DISCRIMINANT}, which has '
                    'spiking features anyway: an ONNX file, or none'
                )
            features = self._features()
            if self.input == 'events':
                return DiscriminantConfig(features.side, features.channels, clutter=0.0)
            return DiscriminantConfig(features.side, features.channels)
        by_polarity = self.input == 'events' and self.event_by_polarity
        layer = NetworkConfig(
            inputs=GRID * GRID * (1 + by_polarity),
            neurons=self.neurons,
            rule=self.rule,
            max_input_rate=self.max_input_rate,
            seed=self.seed,
        )
        if encoder is not None:
            return replace(layer, inputs=encoder.features, encoder=encoder.digest)
        if self.sees_pictures:
            features = self._features()
            return replace(layer, inputs=features.inputs, encoder=features)
        return layer

    def view(self, encoder: Encoder | None = None) -> View:
        """Of a camera's frames. encoder: as of `network_config`.

        ParameterError for several objects in a view of all.
        """
        encoder = encoder or self.read_encoder()
        if encoder is None and not self.sees_pictures:
            return View(GRID, max_objects=self.max_objects)
        whole = self._sees_whole()
        if encoder is not None:
            return View(encoder.side, True, whole, encoder, self.max_objects)
        return View(self.picture_side, self.picture_colour, whole, max_objects=self.max_objects)

    def _sees_whole(self) -> bool:
        """Whether a picture is of the whole view; ParameterError for several objects in that."""
        whole = self.picture_view == 'frame'
        if whole and self.max_objects > 1:
            raise ParameterError(
                f"max_objects: {self.max_objects}; accepted with picture_view: 'frame': 1"
            )
        return whole

    def _features(self) -> FeaturesConfig:
        """Of the pictures that spiking features see; ParameterError where they can see none."""
        with_them = f'encoder {FEATURES}' if self.encoder else f'rule {DISCRIMINANT}'
        if self.input == 'events':
            if self.event_by_polarity:
                raise ParameterError(
                    f'event_by_polarity: True; accepted with the {with_them}: False'
                )
            return FeaturesConfig(EVENT_SIDE, 1)
        if self.picture_view == 'frame' and not self.picture_colour:
            raise ParameterError("picture_view: 'frame'; accepted without picture_colour: object")
        return FeaturesConfig(self.picture_side, 3 if self.picture_colour else 1)

    def event_settings(self) -> EventSettings:
        """ParameterError for an event_roi that is none, and several objects in a view of all."""
        if self.max_objects > 1 and not self.event_centring:
            raise ParameterError(
                f'max_objects: {self.max_objects}; accepted without event_centring: 1'
            )
        if len(self.event_roi) != 4:
            raise ParameterError(
                f'event_roi: {list(self.event_roi)}; accepted: left, top, width and height, pixels'
            )
        return EventSettings(
            window_ns=round(self.event_window * 1e9),
            window_events=self.event_window_count,
            min_events=self.event_min_count,
            roi=self.event_roi if self.event_roi[2] else None,
            by_polarity=self.event_by_polarity,
            centring=self.event_centring,
            size=EVENT_SIDE if self.sees_pictures else GRID,
            as_picture=self.sees_pictures,
            whole=self.sees_pictures and self._sees_whole(),
            max_objects=self.max_objects,
            max_rate_hz=self.event_max_rate,
            hot_pixel_rate_hz=self.event_hot_pixel_rate,
        )

    def online_settings(self, profile_margins: Mapping[int, Margins]) -> OnlineSettings:
        """profile_margins: of the T of a profile, which alone are tried; empty: there is none."""
        margins = {timesteps: margins.inference for timesteps, margins in profile_margins.items()}
        trials = TrialSettings(
            margins or dict.fromkeys(TRIED_TIMESTEPS, self.inference_margin), self.trial_share
        )
        return OnlineSettings(
            self.label_wait,
            self.accuracy_window,
            trials=trials,
            unknown_threshold=self.unknown_threshold,
            questions_per_hour=self.questions_per_hour,
        )

    def timesteps(self) -> Timesteps:
        """T until a decision comes."""
        return Timesteps(self.training_timesteps, self.inference_timesteps)

    def margins(self) -> Margins:
        """At a T that is none of a profile."""
        return Margins(self.training_margin, self.inference_margin)

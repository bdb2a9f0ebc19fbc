"""Parameters of the controller, and the settings made of them."""

from __future__ import annotations

from dataclasses import dataclass

from topspark_ros.control.battery import BatterySettings
from topspark_ros.control.controller import ControlSettings
from topspark_ros.control.policy import PolicyConfig
from topspark_ros.perception.parameters import parameter

DEFAULTS = PolicyConfig()


@dataclass(frozen=True)
class TimestepControllerParameters:
    """Parameters of the controller."""

    profile_file: str = parameter(
        '',
        'Profile: accuracy, latency and energy at each T. Empty: the one that is shipped for '
        'handwritten digits and the rule discriminant.',
        fixed=True,
        path=True,
    )
    control_period: float = parameter(
        0.5,
        'Period at which the controller decides; a new budget is answered at once.',
        unit='s',
        low=0.01,
        high=10.0,
        fixed=True,
    )
    latency_weight: float = parameter(
        DEFAULTS.latency_weight, 'mu of the trade-off score.', low=0.0, high=100.0
    )
    energy_weight_full: float = parameter(
        DEFAULTS.energy_weight_full, 'epsilon of the score at a full battery.', low=0.0, high=100.0
    )
    energy_weight_empty: float = parameter(
        DEFAULTS.energy_weight_empty,
        'epsilon at an empty battery, linear in between.',
        low=0.0,
        high=100.0,
    )
    min_dwell: float = parameter(
        DEFAULTS.min_dwell_s,
        'A decision stays at least this long while no limit is violated.',
        unit='s',
        low=0.0,
        high=3600.0,
    )
    deadband: float = parameter(
        DEFAULTS.deadband,
        'A decision stays while no other scores better by more than this.',
        low=0.0,
        high=1.0,
    )
    limit_margin: float = parameter(
        DEFAULTS.limit_margin,
        'Share of power limit and deadline left free by a new decision.',
        low=0.0,
        high=0.9,
    )
    min_frame_share: float = parameter(
        DEFAULTS.min_frame_share,
        'No smaller share of the frames is processed, even if the power '
        'limit demands it; 0: perception may be paused.',
        low=0.0,
        high=1.0,
    )
    max_training_loss: float = parameter(
        DEFAULTS.max_training_loss,
        'A T is not used for training if by the profile it loses more '
        'accuracy than this against the best training T.',
        low=0.0,
        high=1.0,
    )
    assumed_state_of_charge: float = parameter(
        DEFAULTS.assumed_state_of_charge, 'Used while the battery is unknown.', low=0.0, high=1.0
    )
    assumed_frame_rate: float = parameter(
        DEFAULTS.assumed_frame_rate_hz,
        'Used until the learner reports one.',
        unit='Hz',
        low=0.1,
        high=1000.0,
    )
    core_power: float = parameter(
        10.0,
        'Power of a busy core, from which metered power is first predicted.',
        unit='W',
        low=1e-3,
        high=1e3,
        fixed=True,
    )
    full_percentage: float = parameter(
        1.0,
        'BatteryState.percentage of a full battery: 1, or 100 with some drivers.',
        low=1.0,
        high=100.0,
        fixed=True,
    )
    discharge_is_positive: bool = parameter(
        False,
        'Whether BatteryState.current is positive while the battery discharges, against '
        'the definition of the message. If power_supply_status says charging or discharging, that '
        'is used instead of the sign.',
        fixed=True,
    )
    voltage_curve: tuple[float, ...] = parameter(
        (0.0, 0.0),
        'Voltages of the battery at equally spaced states of charge, from empty to '
        'full; used if neither percentage nor charge is measured. Zeros: not used.',
        unit='V',
        low=0.0,
        high=1e4,
        fixed=True,
    )
    battery_timeout: float = parameter(
        10.0,
        'A battery state older than this is unknown.',
        unit='s',
        low=0.1,
        high=3600.0,
        fixed=True,
    )
    battery_min_discharge: float = parameter(
        BatterySettings.min_discharge_s,
        'Shortest time in which the battery can be emptied or '
        'charged; a faster change is not believed at once.',
        unit='s',
        low=0.001,
        high=1e6,
        fixed=True,
    )
    mission_duration: float = parameter(
        0.0,
        'How long the battery has to last, from activation on; 0: there is no mission. It '
        'begins anew when the node is restarted; a PowerBudget does not.',
        unit='s',
        low=0.0,
        high=1e7,
        fixed=True,
    )
    mission_battery_share: float = parameter(
        1.0,
        "Share of the battery's energy that perception may use in the mission.",
        low=0.0,
        high=1.0,
        fixed=True,
    )
    budget_share: float = parameter(
        1.0,
        "Share of every budget's power and energy, the mission's included, that this "
        'controller may use: two cameras that share a budget take 0.5 each.',
        low=0.0,
        high=1.0,
        fixed=True,
    )
    budget_timeout: float = parameter(
        0.0,
        'Age from which a budget without a lifetime is reported as stale; its limits stay in '
        'force; 0: never.',
        unit='s',
        low=0.0,
        high=86_400.0,
    )
    learner_timeout: float = parameter(
        3.0,
        'Time without a status after which the learner is silent: the decision is held.',
        unit='s',
        low=0.1,
        high=3600.0,
    )

    def control_settings(self) -> ControlSettings:
        """Raises BatteryError for a voltage curve that does not rise."""
        return ControlSettings(
            policy=PolicyConfig(
                latency_weight=self.latency_weight,
                energy_weight_full=self.energy_weight_full,
                energy_weight_empty=self.energy_weight_empty,
                assumed_state_of_charge=self.assumed_state_of_charge,
                assumed_frame_rate_hz=self.assumed_frame_rate,
                min_dwell_s=self.min_dwell,
                deadband=self.deadband,
                limit_margin=self.limit_margin,
                min_frame_share=self.min_frame_share,
                max_training_loss=self.max_training_loss,
            ),
            battery=BatterySettings(
                full_percentage=self.full_percentage,
                timeout_s=self.battery_timeout,
                discharge_is_positive=self.discharge_is_positive,
                min_discharge_s=self.battery_min_discharge,
                voltage_curve=self.voltage_curve if any(self.voltage_curve) else (),
            ),
            learner_timeout_s=self.learner_timeout,
            budget_timeout_s=self.budget_timeout,
            mission_duration_s=self.mission_duration,
            mission_battery_share=self.mission_battery_share,
            budget_share=self.budget_share,
            core_power_w=self.core_power,
        )

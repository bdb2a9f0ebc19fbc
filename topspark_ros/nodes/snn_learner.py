"""Learner node: classifies every frame of a camera or window of an event camera with a spiking
network, and learns it online."""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger

from topspark_ros import msg
from topspark_ros.control.meters import MeterSettings
from topspark_ros.engine import (
    Checkpoint,
    CheckpointError,
    EngineError,
    create_network,
    report_compilation,
)
from topspark_ros.errors import TopsparkError
from topspark_ros.methodology.profile import ProfileError, load_profile
from topspark_ros.nodes import conversions, diagnostics, qos
from topspark_ros.nodes.class_services import ClassServices
from topspark_ros.nodes.executor import ExclusiveLongCallbackGroup
from topspark_ros.nodes.managed_node import ManagedNode, ManagedParameters, NodeFault
from topspark_ros.nodes.metering import Metering
from topspark_ros.nodes.polling import PolledSubscription
from topspark_ros.nodes.recent import Recent
from topspark_ros.nodes.sources import EventSource, Frame, FrameSource, ImageSource
from topspark_ros.nodes.vision import VisionPublishers
from topspark_ros.nodes.weights import WeightsFile
from topspark_ros.perception.assembly import assemble
from topspark_ros.perception.encoder import EncoderError
from topspark_ros.perception.learner_parameters import SnnLearnerParameters
from topspark_ros.perception.messages import label_from, status_fields, timesteps_from
from topspark_ros.perception.online import Margins, Totals
from topspark_ros.perception.parameters import ParameterError
from topspark_ros.perception.steering import profile_margins, profile_mismatches

# The worker looks up at least this often, as labels do not wake it; and while a frame waits, as how
# soon a clock that is simulated reaches its time is unknown.
IDLE_S = 1.0
MIN_WAIT_S, MAX_WAIT_S = 0.01, 0.5
CLOCK_WAIT_S, CLOCK_POLL_S = 0.1, 0.001  # for the time of a frame, under use_sim_time
SILENT_S = 2.0  # node time without a frame after which one is missed; of half the frames, 4 s


@dataclass(frozen=True)
class NodeParameters(ManagedParameters, SnnLearnerParameters):
    """Those of every node, and the learner's."""


class SnnLearner(ManagedNode[NodeParameters]):
    """Classifies every frame at once and learns it when its label has come or been waited for.

    A frame is an image or, with `input: events`, a window of events, whose spikes are presented
    as they are, in T parts of its time. Callbacks only collect; a worker thread does the rest in
    kernels that release the interpreter lock. T changes between two presentations, never inside
    one. A share of the frames below 1 skips the others as soon as they come; with 0 the
    learner is paused. Counts and energies are since activation.

    ROS Parameters:
        see :class:`SnnLearnerParameters`, or `ros2 param describe`

    Subscribers:
        * image (sensor_msgs/Image: mono, colour, Bayer and YUV of 8 or 16 bits),
          image/compressed (sensor_msgs/CompressedImage) with `input: compressed`, or
          events (event_camera_msgs/EventPacket: evt2, evt21, evt3, libcaer_cmp, libcaer, mono)
          with `input: events`
        * label (topspark_ros/Label): teaches the frame with the same stamp, the window that the
          stamp lies in, all frames and windows within a span of time, or the next one; its own too
        * timestep_decision (topspark_ros/TimestepDecision): T, whether to learn, and the share
          of the frames to process
        * battery_state (sensor_msgs/BatteryState) with `meter: battery`

    Publishers:
        * classification (topspark_ros/Classification): one a frame, stamp of the frame
        * ~/question (topspark_ros/Question): a frame that a label would help most with, some an
          hour; a label with its stamp answers it, however late
        * ~/status (topspark_ros/LearnerStatus): what it does and spends
        * vision/classification (vision_msgs/Classification): the same as a standard message;
          vision/detections (vision_msgs/Detection2DArray): every object, its box and its classes,
          the most salient first; only while somebody subscribes
        * vision/label_info (vision_msgs/LabelInfo): the classes, once for each change
        * vision/annotated_image (sensor_msgs/Image, rgb8): the frame, or the window, with a box
          around each object; only while somebody subscribes
        * ~/classes (topspark_ros/Classes): the classes, and what is taught; latched
        * label (topspark_ros/Label): of each frame, while ~/teach has something taught
        * ~/debug_image (sensor_msgs/Image, rgb8): what is seen of each frame, or each window of
          events, brighter ones blue and darker ones red; only while somebody subscribes
        * /diagnostics (diagnostic_msgs/DiagnosticArray)

    Services:
        * ~/save_weights (std_srvs/Trigger): to checkpoint_file
        * ~/load_weights (std_srvs/Trigger): from load_file, or from checkpoint_file
        * ~/reset_weights (std_srvs/Trigger): back to the untrained network
        * ~/set_learning (std_srvs/SetBool): sets the parameter `learning`
        * ~/teach (topspark_ros/Teach), ~/forget_class (topspark_ros/ForgetClass), ~/rename_class
          (topspark_ros/RenameClass): what is in view is a class; a class is gone, or has another
          name
    """

    Parameters = NodeParameters

    def __init__(self, **node_options: Any) -> None:
        super().__init__('snn_learner', **node_options)
        self._configured = False  # whether there is a learner
        self._decision_detail = ''  # of the decision that is applied

    # Lifecycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        p = self.parameters
        try:
            self._encoder = p.read_encoder()
            self._config = p.network_config(self._encoder)
            self._filters = p.read_filters()
            self._energy_model = p.energy_table().name
            # Rejected now, not once weights are read.
            if p.input == 'events':
                p.event_settings()
            else:
                p.view(self._encoder)
            margins = self._read_profile(p.profile_file)
        except (EncoderError, EngineError, ParameterError) as error:
            raise NodeFault(str(error)) from None
        self._weights = WeightsFile(p.checkpoint_file, self._config, self._filters)
        network, class_names, confidence = self._resume(self._weights)
        began_s = time.perf_counter()
        with report_compilation(self.get_logger().info):
            self._steering = assemble(p, network, class_names, margins, self._encoder, confidence)
        self.get_logger().info(f'kernels ready after {time.perf_counter() - began_s:.1f} s')
        self._learner = self._steering.learner
        self._configured = True
        self.undo_with(self._forget)
        # As at deactivation, which the disk may have rejected: there is room again, perhaps.
        self.undo_with(self._save_changes)

        self._classification = self.create_lifecycle_publisher(
            msg.Classification, 'classification', qos.RESULT
        )
        self._result = conversions.ClassificationMessage()
        self._question = self.create_lifecycle_publisher(msg.Question, '~/question', qos.QUESTION)
        self._status = self.create_lifecycle_publisher(msg.LearnerStatus, '~/status', qos.STATUS)
        self._vision = VisionPublishers(self)
        self._debug_image = self.create_lifecycle_publisher(Image, '~/debug_image', qos.sensor(1))
        self._classes = ClassServices(
            self,
            self._learner,
            self.create_lifecycle_publisher(msg.Label, 'label', qos.LABEL),
            self.create_lifecycle_publisher(msg.Classes, '~/classes', qos.STATE),
            self._why_not_learning,
        )
        # Writing a file may take long: not in the way of frames.
        self._storage = ExclusiveLongCallbackGroup()
        for name, callback in (
            ('save', self._on_save),
            ('load', self._on_load),
            ('reset', self._on_reset),
        ):
            self.create_service(
                Trigger, f'~/{name}_weights', callback, callback_group=self._storage
            )
        self.create_service(SetBool, '~/set_learning', self._on_set_learning)

    def _resume(self, weights: WeightsFile) -> Checkpoint:
        try:
            checkpoint = weights.resume(self.parameters.learning)
        except CheckpointError as error:
            raise NodeFault(f'checkpoint_file: {error}') from None
        if not weights.path:
            line = 'weights: checkpoint_file is empty, so nothing is kept over the end'
        elif weights.resumed:
            line = (
                f'resumed from {weights.path}: {checkpoint.network.recruited_neurons} neurons, '
                f'{len(checkpoint.class_names)} classes'
            )
            if self._filters is not None:
                line += ', and their own filters, not those of filters_file'
        else:
            line = f'weights: none yet, they go to {weights.path}'
        self.get_logger().info(line)
        return checkpoint

    def _forget(self) -> None:
        self._configured = False
        del self._learner, self._steering, self._encoder

    def _read_profile(self, path: str) -> dict[int, Margins]:
        """The margins at each T of the profile; warns where it was measured for another network
        than this one."""
        if not path:
            return {}
        try:
            profile = load_profile(path)
        except ProfileError as error:
            raise NodeFault(f'profile_file: {error}') from None
        for mismatch in profile_mismatches(profile, self._config):
            self.get_logger().warning(f'{path}: {mismatch}')
        return profile_margins(profile)

    def activate(self) -> None:
        p = self.parameters
        self._failures = diagnostics.Tally()
        self._recent = Recent(diagnostics.RECENT_S)
        self._last_frame_s = math.nan  # node time
        self._silence = ''  # as of the last report
        self._learner.reset_counts()
        self._activated_s = self.now_s()
        self.undo_with(self._save_changes)  # when nothing is learned any more
        self._metering = Metering(
            self,
            p.meter,
            MeterSettings(p.core_power, p.base_power, p.meter_channel, p.discharge_is_positive),
            self._learner.settings.activity_window_s,
            lambda: self._learner.totals.classified,
        )
        self._source = self._make_source(p)
        self._labels = PolledSubscription(self, msg.Label, 'label', qos.LABEL)
        self._classes.begin()
        self.undo_with(self._classes.stop)
        self._start_worker()
        self.create_subscription(
            msg.TimestepDecision, 'timestep_decision', self._on_decision, qos.STATE
        )
        self.create_timer(p.status_period, self._publish_status)
        if p.checkpoint_file:
            self.create_timer(p.checkpoint_period, self._save_changes, self._storage)

    def _start_worker(self) -> None:
        self._stopping = threading.Event()
        worker = threading.Thread(target=self._work, name='perception', daemon=True)

        def stop() -> None:
            self._stopping.set()
            self._source.close()
            if worker.is_alive():
                worker.join()
            self._learner.learn_waiting(self.now_s())

        self.undo_with(stop)
        worker.start()

    # Input ---------------------------------------------------------------------------------

    def _make_source(self, p: NodeParameters) -> FrameSource:
        share = self._steering.decided.frame_share
        if p.input != 'events':
            view = p.view(self._encoder)
            return ImageSource(self, view, p.input == 'compressed', p.queue_depth, share)
        return EventSource(self, p.event_settings(), p.queue_depth, share)

    def _on_decision(self, message: msg.TimestepDecision) -> None:
        try:
            self._steering.apply(decided := timesteps_from(message))
        except TopsparkError as error:
            self.diagnostics.reject('timestep_decision', error)
            return
        self._source.share = decided.frame_share
        self._decision_detail = message.detail
        if self.debugging:  # the controller gives the reasons, in its log
            self.get_logger().debug(
                f'decision {message.sequence} is applied: training T {decided.training}, '
                f'inference T {decided.inference}, learning share {decided.learning_share:g}, '
                f'frame share {decided.frame_share:g}'
            )

    def parameters_changed(self, parameters: NodeParameters) -> None:
        if self._configured:
            self._steering.reconfigure(parameters)

    # Work, in a thread of its own ----------------------------------------------------------

    def _work(self) -> None:
        while not self._stopping.is_set():
            due_s = self._learner.next_due_s()
            try:
                frame = self._source.take(
                    IDLE_S
                    if due_s is None
                    else min(max(due_s - self.now_s(), MIN_WAIT_S), MAX_WAIT_S)
                )
                if frame is not None:
                    self._await_time_of(frame)
                # After the frame, so that what was said before it came is known.
                for label in self._labels.take():
                    self._heed(label)
                now_s = self.now_s()
                self._learner.learn_due(now_s)
                if frame is not None:
                    self._classify(frame, now_s)
            except Exception:
                self._failures.add()
                self.get_logger().error(
                    f'A frame failed:\n{traceback.format_exc()}', throttle_duration_sec=5.0
                )

    def _await_time_of(self, frame: Frame) -> None:
        """A simulation's time comes by the executor, which may be later than the frame."""
        clock, end_s = self.get_clock(), time.monotonic() + CLOCK_WAIT_S
        while (
            clock.ros_time_is_active
            and clock.now().nanoseconds < frame.end_ns
            and time.monotonic() < end_s
        ):
            time.sleep(CLOCK_POLL_S)

    def _heed(self, label: msg.Label) -> None:
        try:
            self._learner.add_label(*label_from(label))
        except TopsparkError as error:
            self.diagnostics.reject('label', error)

    def _classify(self, frame: Frame, now_s: float) -> None:
        result = self._learner.classify(
            conversions.stamp_ns(frame.header.stamp),
            frame.samples[0],
            now_s,
            frame.begin_ns,
            frame.end_ns,
            frame.samples[1:],
        )
        # Before the result: who has seen that may already teach something else.
        if not result.empty:
            self._classes.label(frame.header, frame.received_s, now_s)
        latency_s = time.monotonic() - frame.received_s
        self._classification.publish(
            self._result.filled(result, frame.header, frame.begin_ns, frame.end_ns, latency_s)
        )
        self._learner.record_latency(latency_s)
        if result.asked:
            self._question.publish(
                conversions.question_message(result, frame.picture(), frame.header)
            )
        if self.debugging:
            stamp = frame.header.stamp
            self.get_logger().debug(
                f'frame {stamp.sec}.{stamp.nanosec:09d}: {result.class_name!r}, T '
                f'{result.timesteps}, latency {latency_s:.6f} s'
            )
        self._last_frame_s = now_s
        if self._debug_image.get_subscription_count():
            self._debug_image.publish(conversions.rgb_image(frame.picture(), frame.header))
        self._vision.publish(result, frame)

    # Output --------------------------------------------------------------------------------

    def _publish_status(self) -> None:
        self._vision.publish_class_names(self._learner.class_names)
        stamp = self.get_clock().now()
        now_s = stamp.nanoseconds * 1e-9
        status, measured = self._learner.status(now_s), self._metering.read()
        self._status.publish(
            conversions.status_message(
                status_fields(
                    status,
                    active_s=max(0.0, now_s - self._activated_s),
                    received=self._source.received,
                    dropped=self._source.dropped,
                    rejected=self._source.rejected,
                    skipped=self._source.skipped,
                    energy_model=self._energy_model,
                    measured=measured,
                    meter=self._metering.name,
                ),
                stamp.to_msg(),
            )
        )
        self._classes.publish()

    def report(self) -> diagnostics.Report:
        status = self._learner.status(self.now_s())
        totals, share = status.totals, status.timesteps.frame_share
        errors = [
            concern
            for concern, holds in (
                ('frames fail inside the node, see its log', self._failures.recent),
                (self.concern(), self.concern()),
            )
            if holds
        ]
        # Counting publishers costs as much as a status: once for all who ask until the next report.
        self._silence = self._missed(share)
        warnings = list(
            filter(
                None,
                (
                    self._silence,
                    self._source.fault(),
                    self._metering.fault,
                    *self._recent_concerns(totals),
                ),
            )
        )
        level = diagnostics.ERROR if errors else diagnostics.WARN if warnings else diagnostics.OK
        message = '; '.join(errors + warnings) or (
            'paused' if share == 0.0 else 'learning' if status.timesteps.learning else 'inferring'
        )
        return (
            level,
            message,
            {
                'state': self.state,
                'training T': status.timesteps.training,
                'inference T': status.timesteps.inference,
                'decision': status.timesteps.sequence,
                'frame share': share,
                'frame rate [Hz]': status.activity.frame_rate_hz,
                'frame age [s]': self._frame_age_s,
                'frames received': self._source.received,
                'frames classified': totals.classified,
                'frames empty': totals.empty,
                'frames dropped': self._source.dropped,
                'frames rejected': self._source.rejected,
                'frames skipped': self._source.skipped,
                'frames failed': self._failures.total,
                'frames learned': totals.learned,
                'labels unmatched': totals.labels_unmatched,
                'labels late': totals.labels_late,
                'further objects': totals.further_objects,
                'questions': totals.questions,
                'answers': totals.answers,
                'latency p50 [s]': status.activity.latency_p50_s,
                'latency p95 [s]': status.activity.latency_p95_s,
                'power, estimated [W]': status.activity.power_w,
                'energy model': self._energy_model,
                'meter': self._metering.name or 'estimated',
                'accuracy, prequential': status.accuracy,
                'neurons in use': status.recruited_neurons,
                'last checkpoint age [s]': self._weights.age_s,
            }
            | self._source.values(),
        )

    def concern(self) -> str:
        fault = self._weights.fault if self._configured else ''
        return f'weights are not saved: {fault}' if fault else ''

    @property
    def _frame_age_s(self) -> float:
        """Node time since the last frame, s; NaN: none has come, or the clock was set back."""
        age_s = self.now_s() - self._last_frame_s
        return age_s if age_s >= 0.0 else math.nan

    def _misses_frames(self, share: float) -> bool:
        """Whether frames should have come, of which this share is taken."""
        return share > 0.0 and not self._frame_age_s * share < SILENT_S

    def _missed(self, share: float) -> str:
        if not self._misses_frames(share):
            return ''
        topic = self._source.topic
        return (
            f'no frame on {topic} (publishers: {self.count_publishers(topic)}, received: '
            f'{self._source.received})'
        )

    def _why_not_learning(self) -> str:
        """What keeps it from learning now; empty: nothing."""
        decided = self._steering.decided
        if not self.parameters.learning:
            return 'the parameter learning is false, ~/set_learning switches it on'
        if decided.frame_share * decided.learning_share == 0.0:
            what = 'all frames are skipped' if decided.frame_share == 0.0 else 'learning is off'
            return f'{what} by decision {decided.sequence}: {self._decision_detail}'
        silent = self.state == 'active' and self._misses_frames(decided.frame_share)
        return self._silence if silent else ''

    def _recent_concerns(self, totals: Totals) -> Iterator[str]:
        classified, skipped, empty, labels, unmatched, late = self._recent.rise(
            totals.classified,
            self._source.skipped,
            totals.empty,
            totals.labels,
            totals.labels_unmatched,
            totals.labels_late,
        )
        if empty > classified / 2:
            yield f'nothing stands out in {empty} of the last {classified} frames: not learned'
        if late:
            yield (
                f'{late} labels came when their frames had been learned without them: '
                f'label_wait is {self.parameters.label_wait:g} s'
            )
        # Labels of skipped frames name none, and are no mistake.
        share = classified / (classified + skipped) if classified else 1.0
        if labels - unmatched < labels * share / 2:
            yield f'{unmatched} of {labels} labels named no frame'

    # Weights -------------------------------------------------------------------------------

    def _save_changes(self) -> None:
        if self._weights.is_behind(self._learner):
            self._save()

    def _save(self) -> str:
        """Returns what is wrong, empty if nothing."""
        try:
            self._weights.save(self._learner)
        except CheckpointError as error:
            self.get_logger().error(f'weights are not saved: {error}', throttle_duration_sec=5.0)
            return str(error)
        return ''

    def _on_save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        error = self._save()
        response.success, response.message = not error, error or self._weights.path
        return response

    def _on_load(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message = self._weights.restore(self._learner, self.parameters.load_file)
            response.success = True
        except CheckpointError as error:
            response.message = str(error)
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._learner.replace_network(create_network(self._config, self._filters), ())
        response.success, response.message = True, 'untrained'
        return response

    def _on_set_learning(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        (result,) = self.set_parameters([Parameter('learning', value=request.data)])
        response.success = result.successful
        response.message = result.reason or ('learning' if request.data else 'inferring')
        return response

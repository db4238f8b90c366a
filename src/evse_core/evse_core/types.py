"""The contract as plain values: one frozen dataclass per message, one IntEnum per enumeration.

Names, order and meaning are those of msg/*.msg, where units and signs are written above each field; tests/contract compares the two. Rules take and
return these; evse_nodes/convert.py turns them into messages. A stamp is in seconds of the ROS clock; a value that is absent is NaN or "".
One file, long as it is: it is read beside msg/, holds nothing but fields, and gives every type one place to be imported from.
"""

from dataclasses import dataclass
from enum import IntEnum
from math import nan as NAN

# ControllerReport.interface_version of a controller that is not served: v3.0 and before.
OLD_INTERFACE = 2


class VehicleLink(IntEnum):
    UNKNOWN = 0
    CHADEMO = 1
    SECC = 2
    PILOT = 3


class PowerFunction(IntEnum):
    UNKNOWN = 0
    OFF = 1
    STANDBY = 2
    INSULATION_TEST = 3
    PRECHARGE = 4
    POWER_TRANSFER = 5


class VehicleProtocol(IntEnum):
    UNKNOWN = 0
    DIN_70121 = 1
    ISO_15118_2_2010 = 2
    ISO_15118_2 = 3
    CHADEMO_0_9 = 4
    CHADEMO_1 = 5
    CHADEMO_2 = 6
    CCS_PWM = 7
    ISO_15118_20 = 8


class Plug(IntEnum):
    UNKNOWN = 0
    CCS_CORE = 1
    CCS_EXTENDED = 2
    CHADEMO = 3
    CCS_AC = 4
    MCS = 5


class EmergencyOrigin(IntEnum):
    UNKNOWN = 0
    NONE = 1
    STATION = 2
    VEHICLE = 3


class ControllerPhase(IntEnum):
    UNKNOWN = 0
    INITIALISING = 1
    WAITING_FOR_VEHICLE = 2
    NEGOTIATING = 3
    CONNECTED = 4
    INSULATION_TEST = 5
    PRECHARGE = 6
    WAITING_FOR_CHARGE = 7
    CHARGING = 8
    ENDING = 9
    WELDING_DETECTION = 10
    CLOSING = 11
    AUTHORISING = 12
    NOT_AVAILABLE = 13
    PAUSED = 14


class Lamp(IntEnum):
    UNKNOWN = 0
    AVAILABLE = 1
    BUSY = 2
    CHARGING = 3
    FAULT = 4


class BusLink(IntEnum):
    UNKNOWN = 0
    VEHICLE = 1
    POWER = 2
    IO = 3


class BusHealth(IntEnum):
    UNKNOWN = 0
    OK = 1
    ERROR = 2
    BUS_OFF = 3
    CLOSED = 4


class CutCause(IntEnum):
    UNKNOWN = 0
    NONE = 1
    PERMIT_ABSENT = 2
    PERMIT_STALE = 3
    PERMIT_REVOKED = 4
    COMMAND_STALE = 5
    CONTROLLER_SILENT = 6
    CONTROLLER_EMERGENCY = 7


class SessionOutcome(IntEnum):
    UNKNOWN = 0
    NOT_STARTED = 1
    COMPLETE = 2
    GIVEN_UP = 3
    FAILED_TO_START = 4
    BROKEN_OFF = 5
    UNFINISHED = 6


class Party(IntEnum):
    UNKNOWN = 0
    NOBODY = 1
    DRIVER = 2
    BACK_END = 3
    VEHICLE = 4
    STATION = 5


class PilotFault(IntEnum):
    UNKNOWN = 0
    NONE = 1
    SHORT = 2
    DIODE_MISSING = 3
    OUT_OF_BAND = 4
    DISAGREES = 5


class PilotState(IntEnum):
    UNKNOWN = 0
    A = 1
    B = 2
    C = 3
    D = 4
    E = 5
    F = 6


class Reaction(IntEnum):
    UNKNOWN = 0
    NONE = 1
    WARN = 2
    BLOCK = 3
    STOP = 4
    EMERGENCY = 5


class ChargeState(IntEnum):
    UNKNOWN = 0
    INITIALISING = 1
    AVAILABLE = 2
    UNAVAILABLE = 3
    PREPARING = 4
    AUTHORIZING = 5
    AUTHORIZED = 6
    WAITING_FOR_VEHICLE = 7
    WAITING_FOR_PERMISSION = 8
    LOCKING = 9
    CABLE_CHECK = 10
    LOWERING_OUTPUT = 11
    WAITING_FOR_CONTACTOR = 12
    WAITING_FOR_REQUEST = 13
    CHARGING = 14
    RAMPING_DOWN = 15
    WELDING_DETECTION = 16
    CLOSING = 17
    UNLOCKING = 18
    FINISHED = 19
    EMERGENCY = 20
    FAULTED = 21
    RECOVERING = 22
    PRECHARGE = 23


class StopCause(IntEnum):
    UNKNOWN = 0
    NONE = 1
    LOCAL = 2
    REMOTE = 3
    VEHICLE = 4
    VEHICLE_FAULT = 5
    TIME_LIMIT = 6
    ENERGY_LIMIT = 7
    DEAUTHORIZED = 8
    INCOMPATIBLE = 9
    TIMEOUT = 10
    CHARGER_FAULT = 11
    EMERGENCY = 12
    UNLOCK = 13
    SHUTDOWN = 14
    UNPLUGGED = 15
    RESTART = 16
    UNAVAILABLE = 17


class RequestKind(IntEnum):
    UNKNOWN = 0
    START = 1
    STOP = 2
    UNLOCK = 3
    ENABLE = 4
    DISABLE = 5
    SHUTDOWN = 6
    EMERGENCY_STOP = 7


class Verdict(IntEnum):
    UNKNOWN = 0
    ACCEPTED = 1
    BLOCKED = 2
    EXPIRED = 3
    INVALID = 4
    CONCURRENT = 5


class VerdictSource(IntEnum):
    UNKNOWN = 0
    CSMS = 1
    OFFLINE = 2
    FREE = 3
    LIST = 4
    CACHE = 5
    RESERVATION = 6


class RecordStatus(IntEnum):
    UNKNOWN = 0
    OPEN = 1
    CLOSED = 2
    INTERRUPTED = 3


class MeterStatus(IntEnum):
    UNKNOWN = 0
    GOOD = 1
    NOT_READ = 2
    TIMEOUT = 3
    FAILED = 4
    DISCONNECTED = 5
    DISTURBED = 6
    MISSING_REGISTER = 7
    OUT_OF_RANGE = 8
    BACKWARDS = 9
    STUCK = 10
    JUMPED = 11
    EXCHANGED = 12


class Registration(IntEnum):
    UNKNOWN = 0
    ACCEPTED = 1
    PENDING = 2
    REJECTED = 3


@dataclass(frozen=True, slots=True)
class ControllerReport:
    """What a charge controller (SECC) asks for and tells, inside VehicleReport."""

    interface_version: int = 0
    phase: ControllerPhase = ControllerPhase.UNKNOWN
    protocol: VehicleProtocol = VehicleProtocol.UNKNOWN
    plug: Plug = Plug.UNKNOWN
    plugged: bool = False
    session_announced: bool = False
    session_finished: bool = False
    rushed_stop: bool = False
    emergency: EmergencyOrigin = EmergencyOrigin.UNKNOWN
    function: PowerFunction = PowerFunction.UNKNOWN
    voltage: float = NAN
    current_max: float = NAN
    current_min: float = NAN
    range_mode: bool = False
    close_contactor: bool = False
    lower_output_voltage: bool = False
    dynamic_current: float = NAN
    vehicle_voltage: float = NAN
    min_power: float = NAN
    max_power: float = NAN
    min_discharge_current: float = NAN
    max_discharge_current: float = NAN
    min_discharge_power: float = NAN
    max_discharge_power: float = NAN
    min_soc_percent: float = NAN
    target_soc_percent: float = NAN
    max_soc_percent: float = NAN
    min_energy_request_wh: float = NAN
    target_energy_request_wh: float = NAN
    max_energy_request_wh: float = NAN
    vehicle_id: str = ""
    pilot_voltage: float = NAN
    pilot_duty_percent: float = NAN
    charge_enable_state: int = 0
    insertion_state: int = 0
    inputs: int = 0
    connector_temperature: float = NAN
    controller_temperature: float = NAN


@dataclass(frozen=True, slots=True)
class ControllerCommand:
    """What the station answers a charge controller (SECC), inside VehicleCommand."""

    enabled: bool = False
    start_authorised: bool = False
    start_button: bool = False
    authorisation_done: bool = False
    authorisation_valid: bool = False
    parameters_done: bool = False
    stop_button: bool = False
    max_voltage: float = NAN
    max_current: float = NAN
    max_discharge_current: float = NAN
    range_current: float = NAN


@dataclass(frozen=True, slots=True)
class VehicleReport:
    """What the vehicle says on its link, with everything that its frames carry."""

    stamp: float = 0.0
    link: VehicleLink = VehicleLink.UNKNOWN
    complete: bool = False
    age: float = NAN
    protocol_number: int = 0
    min_voltage: float = NAN
    max_voltage: float = NAN
    min_current: float = NAN
    max_current: float = NAN
    target_voltage: float = NAN
    current_request: float = NAN
    soc_percent: float = NAN
    battery_capacity_kwh: float = NAN
    max_charging_time: float = NAN
    estimated_charging_time: float = NAN
    charging_enabled: bool = False
    contactor_open: bool = False
    contactor_reported: bool = False
    shift_not_parked: bool = False
    system_fault: bool = False
    normal_stop_request: bool = False
    fault_battery_overvoltage: bool = False
    fault_battery_undervoltage: bool = False
    fault_current_deviation: bool = False
    fault_battery_temperature: bool = False
    fault_voltage_deviation: bool = False
    dynamic_control: bool = False
    extended_functions: bool = False
    discharge_compatible: bool = False
    max_discharge_current: float = NAN
    max_discharge_power: float = NAN
    min_discharge_voltage: float = NAN
    min_discharge_soc_percent: float = NAN
    discharge_sequence: int = 0
    discharge_time: float = NAN
    available_energy_wh: float = NAN
    controller: ControllerReport = ControllerReport()


@dataclass(frozen=True, slots=True)
class VehicleCommand:
    """What the station says to the vehicle on its link."""

    stamp: float = 0.0
    transmit: bool = False
    protocol_number: int = 0
    available_voltage: float = NAN
    available_current: float = NAN
    threshold_voltage: float = NAN
    present_voltage: float = NAN
    present_current: float = NAN
    remaining_time: float = NAN
    welding_detection_supported: bool = False
    charging: bool = False
    charger_malfunction: bool = False
    connector_locked: bool = False
    battery_incompatible: bool = False
    system_malfunction: bool = False
    stop_control: bool = False
    dynamic_control: bool = False
    discharge_compatible: bool = False
    max_discharge_current: float = NAN
    min_discharge_voltage: float = NAN
    discharge_sequence: int = 0
    controller: ControllerCommand = ControllerCommand()


@dataclass(frozen=True, slots=True)
class PowerReport:
    """What the power modules of one EVSE say, or the board about an AC output, and how old it is."""

    stamp: float = 0.0
    complete: bool = False
    age: float = NAN
    voltage: float = NAN
    current: float = NAN
    module_temperature: float = NAN
    enclosure_temperature: float = NAN
    enabled: bool = False
    insulation_resistance: float = NAN
    max_voltage: float = NAN
    max_current: float = NAN
    module_count: int = 0
    modules_working: int = 0
    module_current_min: float = NAN
    module_current_max: float = NAN
    energy_wh: float = NAN
    export_energy_wh: float = NAN
    max_discharge_current: float = NAN


@dataclass(frozen=True, slots=True)
class PowerCommand:
    """What the power modules of one EVSE are to do."""

    stamp: float = 0.0
    function: PowerFunction = PowerFunction.UNKNOWN
    voltage: float = NAN
    current: float = NAN
    lower_output_voltage: bool = False
    session_announced: bool = False
    clean_stop: bool = False
    phase: ControllerPhase = ControllerPhase.UNKNOWN
    soc_percent: float = NAN


@dataclass(frozen=True, slots=True)
class AcReport:
    """What the I/O board sees of mains, control pilot and proximity pilot, inside IoReport."""

    pilot_state: PilotState = PilotState.UNKNOWN
    pilot_high: float = NAN
    pilot_low: float = NAN
    pilot_duty_percent: float = NAN
    cable_current: float = NAN
    latch_pressed: bool = False
    voltage_l1: float = NAN
    voltage_l2: float = NAN
    voltage_l3: float = NAN
    frequency: float = NAN
    power_l1: float = NAN
    power_l2: float = NAN
    power_l3: float = NAN
    output_live: bool = False
    phases_closed: int = 0
    residual_current_tested: bool = False


@dataclass(frozen=True, slots=True)
class CabinetReport:
    """What the cabinet of power modules does for one EVSE, where several EVSEs share one."""

    stamp: float = 0.0
    outlet: int = 0
    age: float = NAN
    modules_connected: int = 0
    modules_running: int = 0
    current_available: float = NAN
    current_wanted: float = NAN
    switch_operations: int = 0
    bridged: str = ""
    stuck: str = ""
    lost: str = ""


@dataclass(frozen=True, slots=True)
class IoReport:
    """What the I/O board sees, and how old it is."""

    stamp: float = 0.0
    complete: bool = False
    age: float = NAN
    plugged: bool = False
    proximity_fault: bool = False
    permission: bool = False
    locked: bool = False
    contactor_closed: bool = False
    emergency_stop: bool = False
    door_open: bool = False
    earth_ok: bool = False
    residual_current_trip: bool = False
    tilted: bool = False
    impact: bool = False
    pilot_fault: PilotFault = PilotFault.UNKNOWN
    start_count: int = 0
    stop_count: int = 0
    connector_voltage: float = NAN
    connector_temperature: float = NAN
    insulation_resistance: float = NAN
    coolant_flow: float = NAN
    coolant_temperature: float = NAN
    ac_current_l1: float = NAN
    ac_current_l2: float = NAN
    ac_current_l3: float = NAN
    ac: AcReport = AcReport()
    token_count: int = 0
    token: str = ""


@dataclass(frozen=True, slots=True)
class IoCommand:
    """What the I/O board is to do."""

    stamp: float = 0.0
    sequence_1: bool = False
    sequence_2: bool = False
    lock: bool = False
    close_contactor: bool = False
    phases: int = 0
    pilot_current: float = NAN
    pilot_unavailable: bool = False
    residual_current_test: bool = False
    lamp: Lamp = Lamp.UNKNOWN


@dataclass(frozen=True, slots=True)
class CanBusStatus:
    """Health and counters of one CAN bus, inside CanStatus."""

    link: BusLink = BusLink.UNKNOWN
    health: BusHealth = BusHealth.UNKNOWN
    detail: str = ""
    received: int = 0
    sent: int = 0
    unknown_id: int = 0
    malformed: int = 0
    unknown_value: int = 0
    errors: int = 0
    dropped: int = 0
    load: float = NAN


@dataclass(frozen=True, slots=True)
class CanStatus:
    """Health of all CAN buses of one EVSE, and whether can_bridge lets power through."""

    stamp: float = 0.0
    buses: tuple[CanBusStatus, ...] = ()
    power_allowed: bool = False
    cut_cause: CutCause = CutCause.UNKNOWN
    cut_count: int = 0


@dataclass(frozen=True, slots=True)
class CanFrame:
    """One CAN frame as it was on a bus, inside CanFrames."""

    stamp: float = 0.0
    link: BusLink = BusLink.UNKNOWN
    id: int = 0
    is_extended: bool = False
    is_error: bool = False
    is_sent: bool = False
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class CanFrames:
    """All CAN frames of one EVSE since the last message, in the order in which they were seen."""

    frames: tuple[CanFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """That a node lives, since when, with which description, and how it stands with its storage."""

    stamp: float = 0.0
    node: str = ""
    started: float = 0.0
    description: str = ""
    free_space: float = NAN
    failed_writes: int = 0


@dataclass(frozen=True, slots=True)
class DecisionTrace:
    """What a node that decides took since its last trace, with its own times."""

    stamp: float = 0.0
    node: str = ""
    started: float = 0.0
    number: int = 0
    names: tuple[str, ...] = ()
    kinds: tuple[int, ...] = ()
    times: tuple[float, ...] = ()
    stamps: tuple[float, ...] = ()
    refs: tuple[float, ...] = ()
    published: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    snapshot: str = ""


@dataclass(frozen=True, slots=True)
class SafetyState:
    """The permit and the faults behind it."""

    stamp: float = 0.0
    permit: bool = False
    given: float = NAN
    reaction: Reaction = Reaction.UNKNOWN
    faults: tuple[str, ...] = ()
    first_fault: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FaultEvent:
    """A fault was raised or cleared."""

    stamp: float = 0.0
    fault: str = ""
    active: bool = False
    reaction: Reaction = Reaction.UNKNOWN
    detail: str = ""
    mrec_code: str = ""
    ocpp16_error: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class SessionState:
    """Where the charging sequence of one EVSE stands."""

    stamp: float = 0.0
    state: ChargeState = ChargeState.UNKNOWN
    time_in_state: float = NAN
    step: int = 0
    session_id: str = ""
    session_active: bool = False
    transaction_active: bool = False
    token: str = ""
    parent_token: str = ""
    remote_start: bool = False
    stop_cause: StopCause = StopCause.UNKNOWN
    stop_detail: str = ""
    limited: bool = False
    power_wanted: float = NAN
    soc_percent: float = NAN
    plugged: bool = False
    available: bool = False
    discharge_available: float = NAN
    discharge_refusal: str = ""


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """Something that a person or the CSMS asked of the sequence, as it was taken."""

    stamp: float = 0.0
    kind: RequestKind = RequestKind.UNKNOWN
    token: str = ""
    stop_cause: StopCause = StopCause.UNKNOWN
    authorized: bool = False


@dataclass(frozen=True, slots=True)
class Authorization:
    """Verdict on a token for one session."""

    stamp: float = 0.0
    token: str = ""
    verdict: Verdict = Verdict.UNKNOWN
    parent_token: str = ""
    source: VerdictSource = VerdictSource.UNKNOWN


@dataclass(frozen=True, slots=True)
class Transaction:
    """What the CSMS calls a session."""

    stamp: float = 0.0
    session_id: str = ""
    transaction_id: int = 0
    stop_confirmed: bool = False
    energy_wh: float = NAN


@dataclass(frozen=True, slots=True)
class ChargingLimit:
    """Limit that the CSMS sets for one EVSE, or for all together."""

    stamp: float = 0.0
    power: float = NAN
    current: float = NAN


@dataclass(frozen=True, slots=True)
class PowerBudget:
    """How much power one EVSE may take from the site."""

    stamp: float = 0.0
    power: float = NAN
    valid_for: float = NAN
    discharge_power: float = NAN
    current: float = NAN


@dataclass(frozen=True, slots=True)
class DriverRules:
    """What the back end wants of the driver's part of a session at one EVSE."""

    stamp: float = 0.0
    connection_timeout: float = NAN


@dataclass(frozen=True, slots=True)
class MeterReading:
    """Energy meter of one EVSE."""

    stamp: float = 0.0
    register_wh: float = NAN
    voltage: float = NAN
    current: float = NAN
    power: float = NAN
    session_id: str = ""
    session_energy_wh: float = NAN
    session_cost: int = 0
    currency: str = ""
    healthy: bool = False
    legal: bool = False
    export_register_wh: float = NAN
    session_export_wh: float = NAN
    frequency: float = NAN
    voltage_l1: float = NAN
    voltage_l2: float = NAN
    voltage_l3: float = NAN
    current_l1: float = NAN
    current_l2: float = NAN
    current_l3: float = NAN
    power_l1: float = NAN
    power_l2: float = NAN
    power_l3: float = NAN
    meter_status: MeterStatus = MeterStatus.UNKNOWN
    meter_detail: str = ""
    meter_clock: float = NAN
    meter_serial: str = ""
    mains_register_wh: float = NAN
    loss_wh: float = NAN
    session_loss_wh: float = NAN
    session_reference_wh: float = NAN
    session_export_reference_wh: float = NAN


@dataclass(frozen=True, slots=True)
class MeterReport:
    """What an energy meter says, and how old it is."""

    stamp: float = 0.0
    complete: bool = False
    age: float = NAN
    import_wh: float = NAN
    export_wh: float = NAN
    voltage: float = NAN
    current: float = NAN
    power: float = NAN
    frequency: float = NAN
    voltage_l1: float = NAN
    voltage_l2: float = NAN
    voltage_l3: float = NAN
    current_l1: float = NAN
    current_l2: float = NAN
    current_l3: float = NAN
    power_l1: float = NAN
    power_l2: float = NAN
    power_l3: float = NAN
    clock: float = NAN
    serial: str = ""
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ChargeRecord:
    """Billing record of one session: once when it is opened, once when it is closed."""

    stamp: float = 0.0
    status: RecordStatus = RecordStatus.UNKNOWN
    session_id: str = ""
    evse_id: int = 0
    record_number: int = 0
    token: str = ""
    begin: float = 0.0
    end: float = 0.0
    begin_register_wh: float = NAN
    end_register_wh: float = NAN
    max_power: float = NAN
    stop_cause: StopCause = StopCause.UNKNOWN
    cost: int = 0
    currency: str = ""
    price_per_kwh: str = ""
    legal: bool = False
    begin_export_register_wh: float = 0.0
    end_export_register_wh: float = 0.0
    export_price_per_kwh: str = ""
    tariff: str = ""
    tax: int = 0
    charging_time: float = 0.0
    idle_time: float = 0.0
    meter_vendor: str = ""
    meter_model: str = ""
    meter_serial: str = ""
    begin_meter_status: MeterStatus = MeterStatus.UNKNOWN
    end_meter_status: MeterStatus = MeterStatus.UNKNOWN
    cable_resistance: float = 0.0
    begin_mains_wh: float = NAN
    end_mains_wh: float = NAN
    begin_export_mains_wh: float = NAN
    end_export_mains_wh: float = NAN


@dataclass(frozen=True, slots=True)
class PriceLine:
    """Part of a price, inside SessionPrice."""

    what: str = ""
    quantity: str = ""
    unit_price: str = ""
    amount: int = 0


@dataclass(frozen=True, slots=True)
class SessionPrice:
    """Price so far of a session, and its final price."""

    stamp: float = 0.0
    session_id: str = ""
    final: bool = False
    tariff: str = ""
    currency: str = ""
    lines: tuple[PriceLine, ...] = ()
    net: int = 0
    tax: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class SessionReport:
    """What is to be said about a session that is over."""

    stamp: float = 0.0
    session_id: str = ""
    evse_id: int = 0
    begin: float = 0.0
    end: float = 0.0
    outcome: SessionOutcome = SessionOutcome.UNKNOWN
    furthest: ChargeState = ChargeState.UNKNOWN
    ended_by: Party = Party.UNKNOWN
    stop_cause: StopCause = StopCause.UNKNOWN
    first_fault: str = ""
    explanation: str = ""
    check: str = ""
    energy_wh: float = NAN
    max_power: float = NAN
    charging_time: float = NAN
    soc_begin_percent: float = NAN
    soc_end_percent: float = NAN
    slowest_step: ChargeState = ChargeState.UNKNOWN
    slowest_step_time: float = NAN
    worst_gap_part: str = ""
    worst_gap: float = NAN
    faults: tuple[str, ...] = ()
    transaction_id: int = 0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class UplinkState:
    """Connection to the CSMS."""

    stamp: float = 0.0
    connected: bool = False
    registration: Registration = Registration.UNKNOWN
    queued: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SimStationLines:
    """Simulation only: what the station's hardware puts on the cable."""

    stamp: float = 0.0
    sequence_1: bool = False
    sequence_2: bool = False
    locked: bool = False
    contactor_closed: bool = False
    phases: int = 0
    pilot_duty_percent: float = NAN
    mains_voltage: float = NAN


@dataclass(frozen=True, slots=True)
class SimVehicleLines:
    """Simulation only: what the vehicle puts on the cable, and its battery's inner truth."""

    stamp: float = 0.0
    plugged: bool = False
    permission: bool = False
    contactor_closed: bool = False
    battery_voltage: float = NAN
    battery_resistance: float = NAN
    soc_percent: float = NAN
    energy_wh: float = NAN
    battery_temperature: float = NAN
    pilot_resistance: float = NAN
    pilot_diode: bool = False
    cable_resistance: float = NAN
    ac_current: float = NAN
    ac_phases: int = 0
    given_wh: float = NAN


@dataclass(frozen=True, slots=True)
class SimPower:
    """Simulation only: voltages and current on the DC path."""

    stamp: float = 0.0
    module_voltage: float = NAN
    connector_voltage: float = NAN
    current: float = NAN
    insulation_resistance: float = NAN

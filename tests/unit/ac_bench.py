"""The simulated I/O board with its AC side and the simulated AC vehicle, wired to each other, with a scripted station: for tests of both."""

from typing import Any

from evse_core.types import SimStationLines, SimVehicleLines
from evse_nodes import databases
from evse_simulators.ac_vehicle import AcVehicleConfig, AcVehicleModel
from evse_simulators.io_board import LOCK, IoBoardConfig, IoBoardModel

DATABASE = databases.load("io_board")
STEP = 0.025
# What a station commands that offers a current, and one that closes. [A]
OFFER = {"Pilot_Current": 16.0, "Phases": 3, "Lock_Command": LOCK}
CLOSED = OFFER | {"Close_Contactor": 1}
# Fields of both; the times of the vehicle and board are their defaults.
BOARD: dict[str, Any] = {"vehicle_link": "pilot", "ac_phases": 3, "socket_outlet": True}


class AcBench:
    """Steps the board each 25 ms and the vehicle each 50 ms; what one puts on the cable reaches the other with its next step."""

    def __init__(self, board: dict[str, Any] | None = None, **vehicle: Any) -> None:
        self.board = IoBoardModel(IoBoardConfig(**BOARD | (board or {})), DATABASE)
        self.vehicle = AcVehicleModel(AcVehicleConfig(**vehicle))
        self.now = 10.0
        self.command: dict[str, float] | None = {"Pilot_Current": 6553.5}
        self.lines = SimVehicleLines()
        """What is on the cable; `forced` takes the vehicle's place."""
        self.forced: SimVehicleLines | None = None
        self.station = SimStationLines()
        self.log: list[tuple[float, str, dict[str, float]]] = []
        self._count = 0

    def run(self, seconds: float) -> "AcBench":
        for _ in range(max(round(seconds / STEP), 1)):
            self._step()
        return self

    def _step(self) -> None:
        self.now, self._count = self.now + STEP, self._count + 1
        if self._count % 2 == 0:
            self.lines = self.vehicle.step(self.now).lines
        if self.command is not None:
            self.board.on_frame(DATABASE.encode("IO_Outputs", self.command | {"Alive": self._count % 256}), self.now)
        self.board.on_vehicle_lines(self.forced or self.lines, self.now)
        out = self.board.step(self.now)
        self.station = out.lines
        self.vehicle.on_station_lines(self.station, self.now)
        for frame in out.frames:
            decoded = DATABASE.decode(frame)
            self.log.append((self.now, decoded.name, dict(decoded.signals)))

    def said(self, name: str) -> dict[str, float]:
        return next(signals for _, found, signals in reversed(self.log) if found == name)

    @property
    def pilot(self) -> dict[str, float]:
        return self.said("IO_Pilot")

    def seconds_until(self, condition: Any, most: float = 20.0) -> float:
        """Go on until a condition holds; return how long it took, more than most [s] where it did not."""
        began = self.now
        while not condition() and self.now - began <= most:
            self._step()
        return self.now - began

    def test_residual(self) -> "AcBench":
        """Let the residual current device test itself."""
        self.command = OFFER | {"Pilot_Current": 6553.5, "Residual_Current_Test": 1}
        return self.run(0.5)

    def charge(self, seconds: float = 8.0) -> "AcBench":
        """Plug in, test, offer, close when the vehicle is ready, and let the current settle."""
        self.vehicle.plug_in()
        self.run(1.0).test_residual()
        self.command = dict(OFFER)
        assert self.seconds_until(lambda: self.pilot["Pilot_State"] == 3.0) < 5.0
        self.command = dict(CLOSED)
        self.run(seconds)
        assert self.board.contactor_closed
        assert self.vehicle.current > 5.0
        return self

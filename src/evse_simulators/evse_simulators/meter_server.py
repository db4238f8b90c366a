"""A Modbus server for a simulated meter, TCP on 127.0.0.1 or RTU on a serial port: answers with an image of registers, in a thread of its own."""

import asyncio
import logging
import threading
from collections.abc import Mapping

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from evse_core.meter_link import MeterLinkConfig
from evse_core.meter_map import Place

# Longer than any reader waits: a meter that is silent. [s]
SILENCE = 30.0
# A port is there at once or not at all. [s]
START = 10.0
LOOPBACK = ("127.0.0.1", "localhost")


class MeterServer:
    """Serves `image` for one unit. ValueError where the address cannot be served."""

    def __init__(self, link: MeterLinkConfig) -> None:
        if link.host and link.host not in LOOPBACK:
            raise ValueError(f"host: a simulated meter stays on this machine, at 127.0.0.1, not at {link.host}")
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
        self._link = link
        self.image: Mapping[Place, int] | None = None
        """The registers; None: silent."""
        self._loop = asyncio.new_event_loop()
        self._started, self._failed = threading.Event(), ""
        self._server: ModbusTcpServer | ModbusSerialServer | None = None
        self._thread = threading.Thread(target=self._run, name="meter server", daemon=True)
        self._thread.start()
        if not self._started.wait(START) or self._failed:
            raise ValueError(f"{link.address}: cannot be served: {self._failed or 'no answer'}")

    def close(self) -> None:
        """End the thread and free the port."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except (RuntimeError, OSError, ValueError) as error:
            self._failed = str(error) or type(error).__name__
            self._started.set()
            return
        self._started.set()
        self._loop.run_forever()
        if self._server is not None:
            self._loop.run_until_complete(self._server.shutdown())  # type: ignore[no-untyped-call]
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self) -> None:
        link = self._link
        device = SimDevice(link.unit_id, SimData(0, count=65536, values=0, datatype=DataType.REGISTERS), action=self._answer)
        if link.host:
            self._server = ModbusTcpServer(device, address=(link.host, link.port))
        else:
            self._server = ModbusSerialServer(
                device, port=link.serial_port, baudrate=link.baud_rate, parity=link.parity, stopbits=link.stop_bits
            )
        await self._server.serve_forever(background=True)

    async def _answer(
        self, function: int, start: int, address: int, count: int, registers: list[int], wanted: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        """Fill in what is asked for; nothing can be written."""
        if wanted is not None or function not in (3, 4):
            return ExcCodes.ILLEGAL_FUNCTION
        image = self.image
        if image is None:
            await asyncio.sleep(SILENCE)
            return ExcCodes.DEVICE_BUSY
        if all((function, address + index) not in image for index in range(count)):
            return ExcCodes.ILLEGAL_ADDRESS
        for index in range(count):
            registers[address - start + index] = image.get((function, address + index), 0)
        return None

"""For all tests: whatever speaks ROS here stays on this machine."""

from evse_nodes.loopback import stay_on_loopback

stay_on_loopback()

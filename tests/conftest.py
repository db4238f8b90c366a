"""For all tests: whatever speaks ROS here stays on this machine, and no random test is timed: a busy machine is slow, not wrong."""

from hypothesis import settings

from evse_nodes.loopback import stay_on_loopback

pytest_plugins = ("machine_watch",)

stay_on_loopback()
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

"""Make the CMake files of the ROS wheels fit this environment: they name include folders of the machine that they were built on.

Run by ./station with the environment's own Python, after each installation. Doing it twice does no harm. Needs the standard library alone.
"""

import re
import sys
import sysconfig
from pathlib import Path

# CPython folders of the manylinux images (../shared/ros/README.md, fact 2).
BUILD_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+t?/include/python3\.\d+t?")
BUILD_SITE_PACKAGES = re.compile(r"/opt/python/cp\d+-cp\d+t?/lib/python3\.\d+t?/site-packages")


def repaired(text: str, include: str, site_packages: str) -> str:
    """Return the text of a CMake file with both prefixes replaced."""
    return BUILD_SITE_PACKAGES.sub(lambda _: site_packages, BUILD_INCLUDE.sub(lambda _: include, text))


def repair(share: Path, include: str, site_packages: str) -> int:
    """Repair every CMake file below share; returns how many were changed."""
    changed = 0
    for path in share.rglob("*.cmake"):
        before = path.read_text(encoding="utf-8")
        after = repaired(before, include, site_packages)
        if after != before:
            # A new file: an installer may have linked the old one to its cache.
            aside = path.with_suffix(".repaired")
            aside.write_text(after, encoding="utf-8")
            aside.replace(path)
            changed += 1
    return changed


def main() -> int:
    """Repair the environment that this Python belongs to."""
    paths = sysconfig.get_paths()
    print(f"{repair(Path(sys.prefix, 'share'), paths['include'], paths['purelib'])} CMake files repaired")
    return 0


if __name__ == "__main__":
    sys.exit(main())

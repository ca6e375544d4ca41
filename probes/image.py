"""Build healthprobe:dev, an image that holds the probe and nothing else: python -m probes.image

A Dockerfile takes the probe from it with `COPY --from=healthprobe:dev /healthprobe /healthprobe`.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from pathlib import Path

from probes import build
from provision import engine as docker_engine
from provision import recipe
from provision.errors import ProvisionError

TAG = "healthprobe:dev"
DOCKERFILE = """\
FROM scratch
COPY healthprobe /healthprobe
ENTRYPOINT ["/healthprobe"]
"""


def main() -> int:
    """Build the image for this machine's processor."""
    name = f"healthprobe-{platform.machine()}"
    probe = build.DIST / name
    if not probe.exists():
        print(f"{probe} is missing: build it with python -m probes.build", file=sys.stderr)
        return 1
    try:
        engine = docker_engine.ensure()
        with tempfile.TemporaryDirectory(dir=build.WORK) as folder:
            shutil.copy(probe, Path(folder, "healthprobe"))
            Path(folder, "Dockerfile").write_text(DOCKERFILE)
            # Labelled, so that `python -m provision down` takes it for its own.
            recipe.build(engine, TAG, Path(folder), recipe.digest([probe], DOCKERFILE))
    except ProvisionError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{TAG}  {probe.stat().st_size} bytes, {name.removeprefix('healthprobe-')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

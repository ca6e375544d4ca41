"""The image of the table's containers: Bun, Node, PM2, and an app that ends as it is told to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from provision import images, recipe, state, tools
from provision.command import run
from provision.engine import Engine
from provision.paths import BUILD
from provision.progress import Progress

TAG: Final = "healthagent/test-exits:local"
BASH: Final = "/opt/bash:/usr/local/bin:/usr/bin:/bin"
"""The PATH on which there is bash; by itself there is only sh."""

SOURCE: Final = Path(__file__).parent / "app"
_PREPARED: Final = BUILD / "test-exits"
_INSTALL: Final = 300.0


def ensure(engine: Engine) -> None:
    """Have the image in the engine. Raises ProvisionError."""
    images.ensure(engine, wanted=images.ALL)
    with state.exclusive(Progress()):
        base = engine.image_id(images.BUN.tag)
        wanted = recipe.digest(SOURCE.iterdir(), base)
        if (recipe.labels(engine, TAG) or {}).get(recipe.RECIPE) == wanted:
            return
        shutil.copytree(SOURCE, _PREPARED, dirs_exist_ok=True)
        run(
            [tools.bun(), "install", "--frozen-lockfile", "--no-progress"],
            timeout=_INSTALL,
            environment={"BUN_INSTALL_CACHE_DIR": str(BUILD / "bun-cache")},
            directory=_PREPARED,
        )
        recipe.build(engine, TAG, _PREPARED, wanted)

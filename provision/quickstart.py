"""All that the quickstart's stack is made of, for whoever brings one up."""

from provision import agent, app, engine, images, projects
from provision.engine import Engine
from provision.progress import Progress


def ensure(progress: Progress | None = None) -> Engine:
    """Return an engine with the stack's images, and nothing on it that a killed run left.

    Raises Unavailable where there can be no engine, ProvisionError where a step fails.
    """
    progress = progress or Progress()
    found = engine.ensure(progress)
    projects.sweep(found)
    images.ensure(found, progress)
    agent.ensure(found, progress)
    app.ensure(found, progress)
    return found

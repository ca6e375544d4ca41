"""One typed settings object: file, variables, flags, the later wins.

``tables`` says what can be written, ``layers`` where it comes from, ``faults`` what is wrong with
it; ``settings`` is what the rest of the agent sees.
"""

from healthagent.config.settings import Settings

__all__ = ["Settings"]

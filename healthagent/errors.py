"""The errors that healthagent raises, each translated once at the edge where it came in.

HealthagentError
├── ConfigurationError      a file, variable, flag or static target that cannot be used
├── ActionError             the Engine did not do what it was asked to
│   └── Unanswered          it could not be asked, or did not answer in time
├── AgentUnreachable        the CLI found no agent to ask
├── Refused                 the agent does not act for who asks
└── UnknownTarget           no target has that name or id, or several have
"""

from __future__ import annotations


class HealthagentError(Exception):
    """Base of all errors meant for people: its text names what is wrong and what to do.

    ``exit_code`` is the command line's where nobody catches it: usage or configuration.
    """

    exit_code = 2


class ConfigurationError(HealthagentError):
    """The configuration cannot be used. ``faults`` lists every fault, each with its remedy."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class ActionError(HealthagentError):
    """Something that was to be done to a replica was not done; the replica is as it was."""


class Unanswered(ActionError):
    """The Engine could not be asked, or gave no answer in time: whether it did it is not known."""


class AgentUnreachable(HealthagentError):
    """No agent answered at the address that the CLI asked."""

    exit_code = 3


class Refused(HealthagentError):
    """The agent lets nobody act who asks in this way."""

    exit_code = 1


class UnknownTarget(HealthagentError):
    """A target was asked for that is not watched, or is not named clearly."""

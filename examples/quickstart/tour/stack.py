"""What the tour needs of a stack, whatever it is made of."""

from typing import Protocol


class Stack(Protocol):
    """Three replicas of the app behind Traefik, one Postgres, one agent: all of it running."""

    @property
    def url(self) -> str:
        """Where Traefik takes the users' requests."""
        ...

    @property
    def agent_url(self) -> str:
        """Where the agent answers."""
        ...

    @property
    def incarnations(self) -> dict[str, str]:
        """By a replica's name, what would change if it were restarted; empty while it is down."""
        ...

    def freeze(self, replica: str) -> None:
        """Stop the replica's process where it stands: its port still accepts, nobody answers."""
        ...

    def thaw(self, replica: str) -> None:
        """Let a frozen replica go on; harmless for one that runs."""
        ...

    def stop_database(self) -> None:
        """Shut Postgres down; harmless when it is down."""
        ...

    def start_database(self) -> None:
        """Bring Postgres back with its data; harmless when it is up."""
        ...

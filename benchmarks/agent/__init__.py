"""What the agent costs: its own container, and its stack beside Docker's way of checking."""

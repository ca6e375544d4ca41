"""``python -m healthagent`` is ``healthagent``."""

from healthagent.cli import main

if __name__ == "__main__":
    main()

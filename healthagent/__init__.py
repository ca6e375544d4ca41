"""healthagent tells Docker and Traefik the truth about every replica of an app, with reasons.

The way of an observation is one direction: source, check, timeline, report, surface.
``ARCHITECTURE.md`` at the root of the repository follows one through the code.
"""

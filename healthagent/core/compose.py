"""The labels that Docker Compose gives its containers."""

from __future__ import annotations

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"

IMAGE = "com.docker.compose.image"
"""The id of the image that it was created of."""

ONE_OFF = "com.docker.compose.oneoff"
"""``True`` on what ``docker compose run`` started: it has the service's labels, and is none."""

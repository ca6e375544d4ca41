"""Sets up what the demo, the system tests and the benchmarks run on. For development only.

``engine.ensure()`` gives a Docker Engine with Compose, ``images.ensure(engine)`` the images of the
stack, ``agent.ensure(engine)`` the agent's own image, ``app.ensure(engine)`` the quickstart's,
``desk.ensure(engine)`` those of the SvelteKit example;
``quickstart.ensure()`` all that a stack of the quickstart's takes;
``local`` runs PostgreSQL and Traefik with no engine at all. Each is idempotent, quick when all is
there, and raises ``errors.ProvisionError`` with a remedy otherwise.
"""

"""The migration to Bun replicas, played on real parts."""

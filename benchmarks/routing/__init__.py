"""What is lost of a stream of requests while replicas are stopped, killed, frozen and made sick."""

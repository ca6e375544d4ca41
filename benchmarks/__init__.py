"""Programs that measure the project and compare it with others, one command each."""

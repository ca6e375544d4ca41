"""Fuzzing the native probe's readers under AddressSanitizer and UndefinedBehaviorSanitizer."""

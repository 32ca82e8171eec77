"""The use cases, on fakes and a clock that a test sets."""

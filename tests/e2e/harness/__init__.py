"""The outside world of an Opentact server: its owner, its phones, its callers, its listeners."""

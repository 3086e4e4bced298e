"""The app's stacks: they name and wire constructs of the library."""

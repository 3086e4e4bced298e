"""The sub-commands, one module each: its arguments, and what it shows. What it does is in the package."""

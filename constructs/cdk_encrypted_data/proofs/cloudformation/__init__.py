"""Resolve: what templates say once they are deployed."""

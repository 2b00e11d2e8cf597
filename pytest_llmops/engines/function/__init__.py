"""Executes plain Python functions and classes, without prompt flow."""

"""Executes workflows of Microsoft Agent Framework. Nothing here imports it: it is there where a workflow does."""

"""Engines: what executes a flow. One Protocol, one folder or file per implementation."""

"""Asks a flow that is served somewhere, one HTTP request a row, in place of executing it."""

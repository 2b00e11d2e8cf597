"""Releases: whether a flow may go on, what is deployed where, and how it takes the place of what was there."""

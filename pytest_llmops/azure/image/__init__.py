"""What goes into the container image of a flow beside the flow: files that are copied, not imported."""

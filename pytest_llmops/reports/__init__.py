"""Reports of a session. Rendering is pure, record in, text out; only ``write`` touches files."""

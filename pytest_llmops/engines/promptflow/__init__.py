"""Executes DAG flows, flex flows and ``.prompty`` files with prompt flow, in a worker process."""

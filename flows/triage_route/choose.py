from promptflow.core import tool

QUEUES = ("billing", "access", "hardware", "network", "other")


@tool
def choose(completion: str) -> str:
    """Read the queue off the start of the completion. One that names none is ``unrouted``: never a lucky ``other``."""
    answer = completion.strip().lower()
    return next((queue for queue in QUEUES if answer.startswith(queue)), "unrouted")

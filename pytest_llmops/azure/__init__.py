"""Azure: credentials, the workspace, and what is kept and served there. Nothing else imports Azure's libraries.

They are imported on first use, inside functions: a session that asks nothing of Azure pays nothing for it.
"""

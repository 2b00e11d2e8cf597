"""Azure DevOps: what a pipeline tells its steps, and what they tell the pipeline and its pull request."""

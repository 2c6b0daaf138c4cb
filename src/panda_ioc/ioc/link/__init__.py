"""The connection to the PandA: what is asked of it, how often, and how it comes back."""

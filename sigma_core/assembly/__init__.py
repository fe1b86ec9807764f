"""The assembly: beacon, panels, commit-reveal, consensus, and a replay that anyone can run."""

"""Files that jobs leave behind: manifests and results."""

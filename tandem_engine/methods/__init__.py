"""Methods that learn a mixture: TANDEM, its peers and free rules, a module for each."""

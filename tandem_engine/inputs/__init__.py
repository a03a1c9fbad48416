"""Documents out of files, wherever they lie and whatever format they have; no torch.

The service imports this package too, so that what it accepts is what the engine reads.
"""

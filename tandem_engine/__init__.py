"""The TANDEM algorithm: domain datasets in, a mixture ratio per domain out.

Imports of `contracts`, `errors` and `presets` stay free of torch; nothing is imported here.
"""

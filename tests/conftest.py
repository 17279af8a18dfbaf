"""What all tests share: property tests that try the same examples every time.

``pytest --hypothesis-profile=explore`` tries many others.
"""

from hypothesis import settings

settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", max_examples=5_000, deadline=None)
settings.load_profile("same")

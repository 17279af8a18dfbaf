"""Models and datasets in the forms that other libraries read."""

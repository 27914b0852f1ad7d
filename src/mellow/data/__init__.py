"""Training data: scenes composed from labelled recordings, and the questions and answers about them."""

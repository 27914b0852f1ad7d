"""Training from a recipe: features, packing, the event head, initial weights, and a run that can be resumed."""

"""The only place that generates or scores tokens: engines, the scheduler, the built-in model, tokenizers."""

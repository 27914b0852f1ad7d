"""Questions, options and audio tags as text; the tokenizer and the prompt."""
